//! Authentication and the caller's own account: sign-in, tokens, sessions, API keys and stream tickets.

pub(crate) mod api_keys;
pub(crate) mod login;
pub(crate) mod me;
pub(crate) mod password;
pub(crate) mod refresh;
pub(crate) mod register;
pub(crate) mod sessions;
pub(crate) mod ticket;

use axum::response::{IntoResponse, Response};
use sutazai_bodies::auth::SignedInView;
use sutazai_core::identity::SignedIn;

use crate::auth::session_cookie::WantedCookie;
use crate::envelope::Reply;

/// Responds to a sign-in, with the refresh token in the cookie if the client wants one.
fn answer(
    signed_in: SignedIn,
    WantedCookie(cookie): WantedCookie,
    reply: impl FnOnce(&SignedInView) -> Reply,
) -> Response {
    let kept = cookie.map(|cookie| cookie.kept(&signed_in));
    let view = SignedInView::new(signed_in, kept.is_some());
    (kept, reply(&view)).into_response()
}
