//! Determines where a stream resumes after a disconnect.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Deserialize;
use sutazai_core::Error;

use crate::error::ApiError;
use crate::extract::Query;

const LAST_EVENT_ID: &str = "last-event-id";
const AFTER: &str = "after";

/// Id of the last event that the client has received: the header `Last-Event-ID`, which browsers send when they
/// reconnect, or else the query parameter `after`.
#[derive(Debug)]
pub(crate) struct Resume<T> {
    pub(crate) after: Option<T>,
    /// Name of the header or parameter that contained the id, for error messages.
    pub(crate) field: &'static str,
}

/// Query parameter of a stream.
#[derive(Debug, Deserialize)]
struct StreamParameters {
    after: Option<String>,
}

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Resume<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(StreamParameters { after }) = Query::from_request_parts(parts, state).await?;
        // Both are parsed even if only one is used, so that an invalid value is never ignored.
        let after = after.map(|text| read_id(&text, AFTER)).transpose()?;
        let last = parts.headers.get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or_default());
        Ok(match last {
            Some(text) => Self { after: Some(read_id(text, LAST_EVENT_ID)?), field: LAST_EVENT_ID },
            None => Self { after, field: AFTER },
        })
    }
}

/// Parses the id of an event.
///
/// # Errors
/// `InvalidInput` naming `field`.
pub(crate) fn read_id<T: FromStr>(text: &str, field: &'static str) -> Result<T, Error> {
    let digits = Some(text).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let id = digits.and_then(|text| text.parse().ok());
    id.ok_or_else(|| Error::invalid(field, "expected the id of an event, unchanged"))
}
