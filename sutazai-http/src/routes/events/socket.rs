//! `GET /api/v1/ws`: the events of the caller's tasks over a WebSocket.

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::Response;
use sutazai_core::domain::Caller;
use sutazai_core::trace::Here;

use crate::app::App;
use crate::error::ApiError;
use crate::live::connection::{Connection, MAX_MESSAGE};
use crate::live::ending::Ending;
use crate::live::streams::StreamPlace;

/// Of a connection's buffers: most have little to say.
const BUFFER: usize = 4 * 1_024;

/// Follow tasks over a WebSocket.
///
/// After the opening handshake of RFC 6455 (4.2.1) both sides send JSON texts.
#[utoipa::path(
    get,
    path = "/api/v1/ws",
    operation_id = "open_socket",
    tag = "events",
    responses(
        (status = 101, description = "The connection is a WebSocket from here on."),
        (status = 426, description = "The request is no opening handshake."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    ending: Ending,
    place: StreamPlace,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|e| ApiError::no_handshake(&e))?;
    let upgrade = upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER);
    // The connection outlives the request, and stays in its trace.
    let here = Here::current();
    Ok(upgrade
        .on_upgrade(move |socket| here.run(Connection::new(app, caller, socket).run(ending.holding(place)))))
}
