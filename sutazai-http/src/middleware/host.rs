//! Rejects requests from web pages of other origins while authentication is off. Without a sign-in, reaching the
//! server is all that a request needs, and a page in a browser on this machine reaches it: by a form, a WebSocket, or
//! a host name that resolves to this machine (DNS rebinding).

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::{HeaderMap, HeaderName, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{StatusCode, Uri};

use crate::app::App;
use crate::error::ApiError;
use crate::security::SecuritySettings;
use crate::security::client_address;
use crate::security::origin::is_of;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Checks the origin and the target host of a request while authentication is off. With authentication, a page has no
/// token and the check is skipped.
///
/// # Errors
/// 421 (RFC 9110, 15.5.20) for a `Host` that does not name this server; 403 for a page of another origin that
/// `CORS_ORIGINS` does not list.
pub(super) fn check(app: &App, request: &Request) -> Result<(), ApiError> {
    if app.identity().is_some() {
        return Ok(());
    }
    let addressed = addressed(app.protection(), request.uri(), request.headers())?;
    let headers = request.headers();
    let Some(origin) = headers.get(ORIGIN) else {
        // Browsers omit `Origin` only for navigation, images, and forms of old browsers. `Sec-Fetch-Site` covers
        // current browsers.
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

/// Returns the host that a request addresses, if it is one of this server.
///
/// # Errors
/// 421 for any other host, and for a missing one.
pub(crate) fn addressed(
    protection: &SecuritySettings,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Authority, ApiError> {
    client_address::addressed(uri, headers)
        .filter(|authority| is_ours(protection, authority.host()))
        .ok_or_else(|| ApiError::of_status(StatusCode::MISDIRECTED_REQUEST))
}

/// Returns whether the host is `localhost`, a loopback address, or the address that the server listens on.
fn is_ours(protection: &SecuritySettings, host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => {
            let address = address.to_canonical();
            address.is_loopback() || protection.listen.is_some_and(|ours| ours.to_canonical() == address)
        }
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}
