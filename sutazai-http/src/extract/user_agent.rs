//! `User-Agent` of the client.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;

/// Value of the header `User-Agent`, if it is present and readable.
#[derive(Debug)]
pub(crate) struct UserAgent(pub(crate) Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for UserAgent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).map(str::to_owned)))
    }
}
