//! Finds out who is calling, before anything else of the request is looked at.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sutazai_core::domain::Caller;
use sutazai_core::identity::{Authenticated, Identity};
use sutazai_core::{Error, ErrorKind, Result};

use crate::app::App;
use crate::error::ApiError;

/// Where an API key may stand when there is no `Authorization`.
const API_KEY: &str = "x-api-key";

/// Lets a request pass whose bearer token (RFC 6750, 2.1) or API key is good, with a [`Caller`] and, for somebody who
/// has signed in, an [`Authenticated`] in its extensions. Without identity everybody is the system.
pub(crate) async fn require(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let caller = match app.identity() {
        None => Caller::System,
        Some(identity) => match who(identity, request.headers()).await {
            Ok((caller, authenticated)) => {
                if let Some(user) = caller.owner() {
                    tracing::Span::current().record("user_id", tracing::field::display(user));
                }
                if let Some(authenticated) = authenticated {
                    request.extensions_mut().insert::<Authenticated>(authenticated);
                }
                caller
            }
            Err(e) => return ApiError::from(e).into_response(),
        },
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

async fn who(identity: &Identity, headers: &HeaderMap) -> Result<(Caller, Option<Authenticated>)> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let (None, Some(key)) = (headers.get(AUTHORIZATION), text(API_KEY)) {
        return Ok((identity.authenticate_key(key.trim()).await?, None));
    }
    let token = text(AUTHORIZATION.as_str()).and_then(bearer).ok_or_else(|| {
        let expected = "expected the header `Authorization: Bearer <access token or API key>`";
        Error::new(ErrorKind::Unauthenticated, expected)
    })?;
    if Identity::is_api_key(token) {
        return Ok((identity.authenticate_key(token).await?, None));
    }
    let authenticated = identity.authenticate(token)?;
    Ok((authenticated.caller.clone(), Some(authenticated)))
}

/// The token of an `Authorization` header (RFC 6750, 2.1).
pub(crate) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
