//! `GET /api/v1/system/metrics/stream`: streams snapshots of the machine (server-sent events).

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use sutazai_core::Error;

use crate::app::App;
use crate::dto::event::SnapshotEvent;
use crate::error::ApiError;
use crate::routes::tasks::events::KEEP_ALIVE;
use crate::streaming::disconnect_signal::DisconnectSignal;
use crate::streaming::streams::StreamPermit;

/// Follow the metrics of this machine (server-sent events).
///
/// Streams a snapshot at once and then one every 2 seconds. All listeners share one measurement. A client that reads slowly
/// skips snapshots. Events have no ids, because there is nothing to resume.
#[utoipa::path(
    get,
    path = "/api/v1/system/metrics/stream",
    operation_id = "follow_metrics",
    tag = "system",
    responses(
        (status = 200, description = "An endless stream of snapshots.", content_type = "text/event-stream", body = SnapshotEvent),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    ending: DisconnectSignal,
    place: StreamPermit,
) -> Result<Response, ApiError> {
    let snapshots = app.snapshots().listen(&app).map(|snapshot| {
        let data = std::str::from_utf8(&snapshot).map_err(|e| Error::internal(e.to_string()))?;
        Ok::<_, Error>(Event::default().event("snapshot").data(data))
    });
    let snapshots = snapshots.take_until(Box::pin(ending.holding(place).wait()));
    Ok(Sse::new(snapshots).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}
