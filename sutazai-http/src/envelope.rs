//! The envelope: the common form of every JSON response.
//!
//! Routes do not write it. They return a [`Reply`] or an [`ApiError`]; either travels as [`Content`] in the
//! extensions of the response until `middleware::envelope`, which knows the trace id, serializes it.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use sutazai_bodies::error::ErrorBody;
use sutazai_core::Error;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::error::ApiError;

/// Metadata of a response, in addition to its `data` or `error`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Metadata {
    /// Time of the response.
    #[schema(value_type = chrono::DateTime<Utc>)]
    timestamp: String,
    /// Version of the server.
    version: &'static str,
    /// Identifies this request in the log. The header `X-Request-Id` returns it too, unless the request had its own.
    trace_id: String,
}

/// Error response with its envelope.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorEnvelope {
    #[schema(schema_with = failure)]
    status: &'static str,
    error: ErrorBody,
    metadata: Metadata,
}

/// Payload of a response before the envelope is written around it.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// The `data` of a successful response, already serialized as JSON.
    Data(Bytes),
    /// The `error` of a failed response.
    Failure(ApiError),
}

/// Successful response of a route: its status and its serialized data.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    data: Result<Bytes, Error>,
}

impl Reply {
    /// Creates a response with status 200 and this data.
    pub(crate) fn ok(data: &impl Serialize) -> Self {
        Self::of(StatusCode::OK, data)
    }

    /// Creates a response with status 201: the resource was created.
    pub(crate) fn created(data: &impl Serialize) -> Self {
        Self::of(StatusCode::CREATED, data)
    }

    /// Creates a response with status 202: the task was accepted.
    pub(crate) fn accepted(data: &impl Serialize) -> Self {
        Self::of(StatusCode::ACCEPTED, data)
    }

    /// Creates a response with status 200 from data that is already JSON.
    pub(crate) fn json(data: Bytes) -> Self {
        Self { status: StatusCode::OK, data: Ok(data) }
    }

    /// Returns the serialized data; `None` when serialization failed.
    pub(crate) fn data(&self) -> Option<&Bytes> {
        self.data.as_ref().ok()
    }

    fn of(status: StatusCode, data: &impl Serialize) -> Self {
        Self { status, data: serde_json::to_vec(data).map(Bytes::from).map_err(Error::json) }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self.data {
            Ok(data) => {
                let mut response = self.status.into_response();
                response.extensions_mut().insert(Content::Data(data));
                response
            }
            Err(e) => ApiError::from(e).into_response(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.head();
        response.extensions_mut().insert(Content::Failure(self));
        response
    }
}

/// Serializes the whole body: `{"status", "data" | "error", "metadata": {"timestamp", "version", "trace_id"}}`.
pub(crate) fn write(content: &Content, now: DateTime<Utc>, trace_id: &str) -> Vec<u8> {
    let metadata = Metadata {
        timestamp: now.to_rfc3339_opts(SecondsFormat::Millis, true),
        version: env!("CARGO_PKG_VERSION"),
        trace_id: trace_id.to_owned(),
    };
    match content {
        // The data is JSON already. Concatenation avoids parsing and serializing it again, which would cost as much
        // as the rest of the request.
        Content::Data(data) => {
            [br#"{"status":"success","data":"#, &data[..], br#","metadata":"#, &json(&metadata), b"}"]
                .concat()
        }
        Content::Failure(e) => json(&ErrorEnvelope { status: "error", error: e.body(), metadata }),
    }
}

/// Serializes a value that consists of strings and numbers only, which cannot fail.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Schema of the `status` of an error response.
fn failure() -> Object {
    word("error")
}

/// Schema of a text that is always `word`.
pub(crate) fn word(word: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some([word])).build()
}
