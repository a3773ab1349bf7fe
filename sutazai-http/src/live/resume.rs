//! Where a stream goes on after it was cut off.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Deserialize;
use sutazai_core::Error;

use crate::error::ApiError;
use crate::extract::Query;

const LAST_EVENT_ID: &str = "last-event-id";
const AFTER: &str = "after";

/// The id of the last event that the caller has seen: the header `Last-Event-ID`, which browsers send when they come
/// back by themselves, or else the parameter `after`.
#[derive(Debug)]
pub(crate) struct Resume<T> {
    pub(crate) after: Option<T>,
    /// Where it stood.
    pub(crate) field: &'static str,
}

/// The parameters of a stream.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamParameters {
    after: Option<String>,
    /// Read before the route, by `middleware::authenticate`.
    #[serde(rename = "ticket")]
    _ticket: Option<String>,
}

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Resume<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(StreamParameters { after, .. }) = Query::from_request_parts(parts, state).await?;
        let (text, field) = match parts.headers.get(LAST_EVENT_ID) {
            Some(value) => (Some(value.to_str().unwrap_or_default().to_owned()), LAST_EVENT_ID),
            None => (after, AFTER),
        };
        let after = text.map(|text| read_id(&text, field)).transpose()?;
        Ok(Self { after, field })
    }
}

/// Reads the id of an event.
///
/// # Errors
/// `InvalidInput` naming `field`.
pub(crate) fn read_id<T: FromStr>(text: &str, field: &'static str) -> Result<T, Error> {
    let digits = Some(text).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let id = digits.and_then(|text| text.parse().ok());
    id.ok_or_else(|| Error::invalid(field, "expected the id of an event, as it was given"))
}
