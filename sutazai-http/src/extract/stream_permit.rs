//! Admits a stream of the caller, or refuses it with 429.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::error::ApiError;
use crate::streaming::streams::StreamPermit;

impl FromRequestParts<App> for StreamPermit {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        match parts.extensions.get::<Caller>().and_then(Caller::owner) {
            Some(user) => Ok(app.streams().enter(user, app.protection().streams_per_user)?),
            None => Ok(Self::UNCOUNTED),
        }
    }
}
