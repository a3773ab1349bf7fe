//! JSON bodies of requests.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sutazai_core::Error;

use crate::error::ApiError;
use crate::extract::query::{field_of, plain};

const JSON: &str = "application/json";

/// JSON body. Responds with 415 without `application/json`, 413 when it is too large, 400 when it is not JSON, and
/// 422 when a field is invalid.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// Like [`Json`], but a missing body and `null` become the default value.
#[derive(Debug)]
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::unsupported_media_type(JSON));
        }
        read(&bytes(request, state).await?).map(Self)
    }
}

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let body = bytes(request, state).await?;
        match (body.is_empty(), is_json) {
            (true, _) => Ok(Self(T::default())),
            (false, true) => read(&body).map(|read: Option<T>| Self(read.unwrap_or_default())),
            (false, false) => Err(ApiError::unsupported_media_type(JSON)),
        }
    }
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state).await.map_err(|e| ApiError::of_status(e.into_response().status()))
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(JSON)
}

/// Parses JSON; an error names the field that is invalid.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // Serde would accept an array for a struct, with its fields in the order of the source code.
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(Error::invalid("body", "expected a JSON object, got an array").into());
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let field = field_of(&e);
        let e = e.into_inner();
        if e.is_data() {
            // The position in the text is redundant next to the name of the field.
            let message = e.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            ApiError::from(Error::invalid(field, plain(message)))
        } else if serde_json::from_slice::<Value>(body).is_ok() {
            // serde_json reports a value of another type as a syntax error where an enum is expected.
            ApiError::from(Error::invalid(field, "expected a value of another type"))
        } else {
            ApiError::malformed(format!("the body is not JSON: {e}"))
        }
    })?;
    json.end().map_err(|e| ApiError::malformed(format!("the body is not JSON: {e}")))?;
    Ok(value)
}
