//! `GET /api/v1/ws`: sends events of the caller's tasks over a WebSocket.

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::Response;
use sutazai_core::domain::Caller;
use sutazai_core::trace::Here;

use crate::app::App;
use crate::error::ApiError;
use crate::streaming::connection::{Connection, MAX_MESSAGE};
use crate::streaming::disconnect_signal::DisconnectSignal;
use crate::streaming::streams::StreamPermit;

/// Capacity of the read and of the write buffer of a connection in bytes. Small, because messages are short and there
/// may be thousands of connections; a larger message grows the buffer.
const BUFFER_CAPACITY: usize = 4 * 1_024;

/// Follow tasks over a WebSocket.
///
/// After the opening handshake (RFC 6455, 4.2.1), client and server exchange JSON text messages.
#[utoipa::path(
    get,
    path = "/api/v1/ws",
    operation_id = "open_socket",
    tag = "events",
    responses(
        (status = 101, description = "The connection is upgraded to a WebSocket."),
        (status = 426, description = "The request is not an opening handshake of a WebSocket."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    ending: DisconnectSignal,
    place: StreamPermit,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|e| ApiError::no_handshake(&e))?;
    let upgrade = upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .read_buffer_size(BUFFER_CAPACITY)
        .write_buffer_size(BUFFER_CAPACITY);
    // The connection outlives its request, so its work is explicitly run within the request's trace.
    let here = Here::current();
    Ok(upgrade
        .on_upgrade(move |socket| here.run(Connection::new(app, caller, socket).run(ending.holding(place)))))
}
