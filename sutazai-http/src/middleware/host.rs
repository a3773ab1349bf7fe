//! Refuses what web pages of others send. Where nobody signs in, reaching the server is all that a request needs, and a page
//! in a browser on this machine reaches it: by a form, a WebSocket, or a name of its own that resolves to this machine (DNS
//! rebinding).

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::{HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{StatusCode, Uri};

use crate::app::App;
use crate::error::ApiError;
use crate::protection::Protection;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Checks where a request comes from and whom it addresses, where nobody signs in; elsewhere the sign-in does.
///
/// # Errors
/// 421 (RFC 9110, 15.5.20) for a `Host` that is none of this server's; 403 for a page of another origin that
/// `CORS_ORIGINS` does not name.
pub(super) fn check(app: &App, request: &Request) -> Result<(), ApiError> {
    if app.identity().is_some() {
        return Ok(());
    }
    let addressed = addressed(app.protection(), request.uri(), request.headers())?;
    let headers = request.headers();
    let Some(origin) = headers.get(ORIGIN) else {
        // Without an origin it is no request of a page but for forms of old browsers, images, and what is navigated to.
        let site = headers.get(SEC_FETCH_SITE);
        return if site.is_some_and(|site| site == "cross-site") {
            Err(ApiError::foreign_page())
        } else {
            Ok(())
        };
    };
    let listed = app.protection().cors_origins.0.contains(origin);
    if listed || is_of(origin, &addressed) { Ok(()) } else { Err(ApiError::foreign_page()) }
}

/// The host that a request addresses, if it is one of this server's.
///
/// # Errors
/// 421 for any other, and for none.
pub(crate) fn addressed(
    protection: &Protection,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Authority, ApiError> {
    // The target of the request goes before the header (RFC 9112, 3.2.2).
    let in_header = || headers.get(HOST)?.to_str().ok()?.parse().ok();
    let authority: Option<Authority> = uri.authority().cloned().or_else(in_header);
    authority
        .filter(|authority| is_ours(protection, authority.host()))
        .ok_or_else(|| ApiError::of_status(StatusCode::MISDIRECTED_REQUEST))
}

/// Whether this is `localhost`, a loopback address, or the address that the server listens on.
fn is_ours(protection: &Protection, host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => {
            let address = address.to_canonical();
            address.is_loopback() || protection.listen.is_some_and(|ours| ours.to_canonical() == address)
        }
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

/// Whether this origin is that of the addressed host itself, whatever its scheme: a proxy may speak TLS before us.
fn is_of(origin: &HeaderValue, addressed: &Authority) -> bool {
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(addressed.as_str()))
}
