//! Callers of the routes about users and their accounts.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use sutazai_core::domain::{Caller, SessionId, UserId};
use sutazai_core::identity::{Authenticated, Identity};
use sutazai_core::{Error, ErrorKind};

use crate::app::App;
use crate::error::ApiError;

/// User who is signed in, on a route about their own account; 501 when the server runs without users.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) identity: Identity,
    pub(crate) user: UserId,
    /// Session of this request.
    pub(crate) session: SessionId,
}

impl FromRequestParts<App> for Account {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let identity = app.require_identity()?.clone();
        let found = parts.extensions.get::<Authenticated>();
        let claims =
            &found.ok_or_else(|| Error::new(ErrorKind::Forbidden, "expected an access token"))?.claims;
        Ok(Self { identity, user: claims.sub, session: claims.sid })
    }
}

/// Admin on a route about users; 501 when the server runs without users.
#[derive(Debug)]
pub(crate) struct Administration {
    pub(crate) identity: Identity,
    pub(crate) caller: Caller,
}

impl FromRequestParts<App> for Administration {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let identity = app.require_identity()?.clone();
        let caller = parts.extensions.get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| Error::internal("a route of admins does not require a sign-in"))?;
        Ok(Self { identity, caller })
    }
}
