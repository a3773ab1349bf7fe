//! `GET /metrics`: the figures of this server, for Prometheus.
//!
//! They tell how many people work here and how well the machine bears it, so they are not for everybody: with a token,
//! for who bears it; without, for programs on this machine that ask directly. A proxy on this machine speaks for
//! others, and says so in its headers.

use std::net::SocketAddr;

use axum::Extension;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, FORWARDED};
use axum::response::{IntoResponse, Response};
use sutazai_core::{Error, ErrorKind};

use crate::app::App;
use crate::auth::credential::bearer;
use crate::error::ApiError;
use crate::middleware::host::addressed;
use crate::monitoring::Monitoring;

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Read the figures of this server.
///
/// The text format of Prometheus, without the envelope. With `METRICS_TOKEN` for who bears it, without for programs on
/// the server's machine.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "show_figures",
    tag = "health",
    responses(
        (status = 200, description = "All figures.", body = String, content_type = "text/plain"),
        (status = 401, description = "There is a token, and this is another one or none."),
        (status = 403, description = "There is no token, and the request is not from the server's machine."),
        (status = 421, description = "There is no token, and `Host` is no name of the server's machine."),
        (status = 404, description = "Monitoring is switched off."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    request: Request,
) -> Result<Response, ApiError> {
    let monitoring = app.shown_metrics().ok_or_else(|| ApiError::of_status(StatusCode::NOT_FOUND))?;
    let peer = peer.map(|Extension(ConnectInfo(address))| address);
    may_read(&app, monitoring, peer, &request)?;
    app.refresh_metrics().await;
    Ok(([(CONTENT_TYPE, TEXT)], monitoring.render()).into_response())
}

fn may_read(
    app: &App,
    monitoring: &Monitoring,
    peer: Option<SocketAddr>,
    request: &Request,
) -> Result<(), ApiError> {
    let headers = request.headers();
    if monitoring.has_token() {
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        return match given.and_then(bearer) {
            Some(token) if monitoring.accepts(token) => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Unauthenticated,
                "expected the header `Authorization: Bearer <METRICS_TOKEN>`",
            )
            .into()),
        };
    }
    // A page in a browser on this machine asks directly too, by a name of its own.
    addressed(app.protection(), request.uri(), headers)?;
    let forwarded =
        headers.keys().any(|name| *name == FORWARDED || name.as_str().starts_with("x-forwarded-"));
    if !forwarded && peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback()) {
        return Ok(());
    }
    let why = "the metrics are shown on this machine only, as long as METRICS_TOKEN is not set";
    Err(Error::new(ErrorKind::Forbidden, why).into())
}
