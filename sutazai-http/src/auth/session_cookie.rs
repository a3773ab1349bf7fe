//! Refresh token in a cookie, for web pages: a script of the page cannot read it, so a page that was tampered with cannot
//! send it elsewhere.
//!
//! A client asks for it with the header `X-Session: cookie`. The cookie counts only together with that header and with
//! the `Origin` of this server: a page of another origin can neither set the header without a preflight, which is
//! refused, nor choose its `Origin`. `SameSite=Strict` alone is not enough, because another port of the same machine is
//! the same site.

use axum::extract::FromRequestParts;
use axum::http::header::{COOKIE, HeaderName, ORIGIN, SET_COOKIE};
use axum::http::request::Parts;
use sutazai_core::identity::SignedIn;
use sutazai_core::{Error, ErrorKind};

use crate::app::App;
use crate::error::ApiError;
use crate::security::origin::is_of_scheme;

/// Header by which a client asks for the cookie.
pub(crate) const X_SESSION: HeaderName = HeaderName::from_static("x-session");
/// Only value of the header.
const AS_COOKIE: &str = "cookie";
/// Name of the cookie, before the port.
const NAME: &str = "sutazai_refresh";

/// Cookie of the session that the client wants to have its refresh token in.
#[derive(Debug)]
pub(crate) struct SessionCookie {
    /// Name with the port that the client addressed: browsers send the cookies of a host to all its ports.
    name: String,
    /// True if browsers may send it over TLS only.
    secure: bool,
    /// Refresh token in the request.
    token: Option<String>,
}

/// The cookie if the client asked for it with `X-Session: cookie`; `None` if the client keeps the token itself.
///
/// # Errors
/// 422 naming `x-session` for another value; 403 naming `origin` for a request that no page of this server sent.
#[derive(Debug)]
pub(crate) struct WantedCookie(pub(crate) Option<SessionCookie>);

impl FromRequestParts<App> for WantedCookie {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Some(wanted) = parts.headers.get(&X_SESSION) else { return Ok(Self(None)) };
        if wanted != AS_COOKIE {
            return Err(Error::invalid(X_SESSION.as_str(), format!("expected {AS_COOKIE}")).into());
        }
        let proxies = &app.protection().trusted_proxies;
        let scheme = proxies.scheme_by(&parts.extensions, &parts.headers);
        let mut origins = parts.headers.get_all(ORIGIN).iter();
        let origin = origins.next().filter(|_| origins.next().is_none());
        let host = proxies
            .authority(parts)
            .filter(|host| origin.is_some_and(|origin| is_of_scheme(origin, host, scheme)))
            .ok_or_else(|| {
                let why = "a session by cookie is for pages of this server only: expected its Origin";
                Error::new(ErrorKind::Forbidden, why).with_field(ORIGIN.as_str())
            })?;
        let name = host.port().map_or_else(|| NAME.to_owned(), |port| format!("{NAME}_{port}"));
        let token = found(parts, &name);
        Ok(Self(Some(SessionCookie { name, secure: scheme == "https", token })))
    }
}

impl SessionCookie {
    /// Refresh token that the request has in its cookie.
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Header of the response that puts the refresh token of a sign-in into the cookie.
    pub(crate) fn kept(&self, signed_in: &SignedIn) -> [(HeaderName, String); 1] {
        self.set(&signed_in.refresh_token, signed_in.refresh_expires_in.as_secs())
    }

    /// Header of the response that clears the cookie.
    pub(crate) fn cleared(&self) -> [(HeaderName, String); 1] {
        self.set("", 0)
    }

    /// Without `Path`, so that browsers take the folder of the request, which is that of the routes of authentication
    /// under any prefix.
    fn set(&self, token: &str, max_age: u64) -> [(HeaderName, String); 1] {
        let secure = if self.secure { "; Secure" } else { "" };
        let cookie = format!("{}={token}; HttpOnly; SameSite=Strict; Max-Age={max_age}{secure}", self.name);
        [(SET_COOKIE, cookie)]
    }
}

/// Returns the value of the first cookie with this name; an empty one counts as none.
fn found(parts: &Parts, name: &str) -> Option<String> {
    let lists = parts.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = lists.flat_map(|list| list.split(';')).filter_map(|one| one.trim().split_once('='));
    let (_, token) = cookies.find(|(of, _)| *of == name)?;
    Some(token).filter(|token| !token.is_empty()).map(str::to_owned)
}
