//! Finds out who is calling, before anything else of the request is looked at.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sutazai_core::domain::Caller;
use sutazai_core::identity::Authenticated;
use sutazai_core::{Error, ErrorKind, Result};

use crate::app::App;
use crate::error::ApiError;

/// Lets a request pass whose bearer token is good (RFC 6750, 2.1), with a [`Caller`] and, for users, an
/// [`Authenticated`] in its extensions. Without identity everybody is the system.
pub(crate) async fn require(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let caller = match app.identity() {
        None => Caller::System,
        Some(identity) => match bearer(request.headers()).and_then(|token| identity.authenticate(token)) {
            Ok(authenticated) => {
                tracing::Span::current().record("user_id", tracing::field::display(authenticated.claims.sub));
                let caller = authenticated.caller.clone();
                request.extensions_mut().insert::<Authenticated>(authenticated);
                caller
            }
            Err(e) => return ApiError::from(e).into_response(),
        },
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn bearer(headers: &HeaderMap) -> Result<&str> {
    let missing = || {
        Error::new(ErrorKind::Unauthenticated, "expected the header `Authorization: Bearer <access token>`")
    };
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
    let (scheme, token) = value.split_once(' ').ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(missing()) }
}
