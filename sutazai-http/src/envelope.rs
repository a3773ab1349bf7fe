//! The one form that every answer has.
//!
//! Routes do not write it. They answer with a [`Reply`] or an [`ApiError`], which travel as [`Content`] beside the
//! response until `middleware::envelope` knows the trace id and writes both alike.

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use sutazai_core::Error;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::error::{ApiError, ErrorBody};

/// What every answer says beside its data or its error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Metadata {
    /// When it was answered.
    #[schema(value_type = chrono::DateTime<Utc>)]
    timestamp: String,
    /// The version of the server.
    version: &'static str,
    /// Names this request in the log; also in the header `X-Request-Id`.
    trace_id: String,
}

/// A bad answer, whole.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorEnvelope {
    #[schema(schema_with = failure)]
    status: &'static str,
    error: ErrorBody,
    metadata: Metadata,
}

/// What an answer says, before the envelope is around it.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// `data`, already JSON.
    Data(Bytes),
    /// `error`.
    Failure(ApiError),
}

/// A good answer: its status and its data.
#[derive(Debug)]
pub(crate) struct Reply {
    status: StatusCode,
    data: Result<Bytes, Error>,
}

impl Reply {
    /// 200 with this data.
    pub(crate) fn ok(data: &impl Serialize) -> Self {
        Self::of(StatusCode::OK, data)
    }

    /// 201: it was made.
    pub(crate) fn created(data: &impl Serialize) -> Self {
        Self::of(StatusCode::CREATED, data)
    }

    /// 202: it will be done.
    pub(crate) fn accepted(data: &impl Serialize) -> Self {
        Self::of(StatusCode::ACCEPTED, data)
    }

    /// 200 with data that is JSON already.
    pub(crate) fn json(data: Bytes) -> Self {
        Self { status: StatusCode::OK, data: Ok(data) }
    }

    /// What it says, if that could be written.
    pub(crate) fn data(&self) -> Option<&Bytes> {
        self.data.as_ref().ok()
    }

    fn of(status: StatusCode, data: &impl Serialize) -> Self {
        Self { status, data: serde_json::to_vec(data).map(Bytes::from).map_err(Error::from) }
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

/// The whole body: `{"status", "data" | "error", "metadata": {"timestamp", "version", "trace_id"}}`.
pub(crate) fn write(content: &Content, now: DateTime<Utc>, trace_id: &str) -> Vec<u8> {
    let metadata = Metadata {
        timestamp: now.to_rfc3339_opts(SecondsFormat::Millis, true),
        version: env!("CARGO_PKG_VERSION"),
        trace_id: trace_id.to_owned(),
    };
    match content {
        // The data is JSON already: reading it only to write it again would cost as much as all else together.
        Content::Data(data) => {
            [br#"{"status":"success","data":"#, &data[..], br#","metadata":"#, &json(&metadata), b"}"]
                .concat()
        }
        Content::Failure(e) => json(&ErrorEnvelope { status: "error", error: e.body(), metadata }),
    }
}

/// Strings and numbers alone can always be written.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Schema of the `status` of an error.
fn failure() -> Object {
    word("error")
}

/// Schema of a text that is always `word`.
pub(crate) fn word(word: &str) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some([word])).build()
}
