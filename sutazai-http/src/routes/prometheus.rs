//! `GET /metrics`: returns the metrics of this server in the text format of Prometheus.
//!
//! Metrics reveal how many people work here and how loaded the machine is, so they are not public. With
//! `METRICS_TOKEN`, the bearer of that token may read them. Without it, only programs on this machine may, and only
//! directly: a local reverse proxy forwards requests of other machines, which its headers show.

use axum::Extension;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, FORWARDED};
use axum::response::{IntoResponse, Response};
use std::net::SocketAddr;
use sutazai_core::{Error, ErrorKind};

use crate::app::App;
use crate::auth::credential::bearer;
use crate::error::ApiError;
use crate::middleware::host::addressed;
use crate::monitoring::Monitoring;

/// Content type of the Prometheus text format, version 0.0.4.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Read the metrics of this server.
///
/// Returns the text format of Prometheus, without the envelope. With `METRICS_TOKEN`, the token is required as a
/// bearer token; without it, only programs on the server's machine may read.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "show_server_metrics",
    tag = "health",
    responses(
        (status = 200, description = "All metrics.", body = String, content_type = "text/plain"),
        (status = 401, description = "`METRICS_TOKEN` is set, and the request has no or another token."),
        (status = 403, description = "`METRICS_TOKEN` is not set, and the request does not come from the server's machine."),
        (status = 421, description = "`METRICS_TOKEN` is not set, and `Host` does not name the server's machine."),
        (status = 404, description = "Monitoring is disabled."),
    ),
)]
pub(crate) async fn show(
    State(app): State<App>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    request: Request,
) -> Result<Response, ApiError> {
    let monitoring = app.shown_metrics().ok_or_else(|| ApiError::of_status(StatusCode::NOT_FOUND))?;
    let peer = peer.map(|Extension(ConnectInfo(address))| address);
    may_read(&app, monitoring, peer, &request)?;
    app.refresh_metrics().await;
    Ok(([(CONTENT_TYPE, PROMETHEUS_TEXT)], monitoring.render()).into_response())
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
    // A web page in a browser on this machine also connects directly, but under a host name of its own (DNS
    // rebinding).
    addressed(app.protection(), request.uri(), headers)?;
    let forwarded =
        headers.keys().any(|name| *name == FORWARDED || name.as_str().starts_with("x-forwarded-"));
    if !forwarded && peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback()) {
        return Ok(());
    }
    let why = "the metrics are shown on this machine only, as long as METRICS_TOKEN is not set";
    Err(Error::new(ErrorKind::Forbidden, why).into())
}
