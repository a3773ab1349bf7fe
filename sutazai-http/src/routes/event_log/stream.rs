//! `GET /api/v1/events`: streams events of all the caller's tasks (server-sent events).

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, future, stream};
use sutazai_core::Error;
use sutazai_core::domain::{Caller, EventLogEntry, EventOffset};

use crate::app::App;
use crate::dto::event::{EventFilter, SentEvent};
use crate::dto::task::event_view;
use crate::error::ApiError;
use crate::extract::Query;
use crate::routes::tasks::events::KEEP_ALIVE;
use crate::streaming::disconnect_signal::DisconnectSignal;
use crate::streaming::reader::read_ahead;
use crate::streaming::resume::Resume;
use crate::streaming::streams::StreamPermit;

/// Number of events that are left out between two messages with an id only. A client that is disconnected resumes after
/// the last id that it has received, so without them it would read again what it did not ask for.
const LEFT_OUT_PER_ID: u32 = 100;

/// Follow all tasks of the caller (server-sent events).
///
/// Streams events from now on, or those after the given event. `id` is the offset of the event in the event log,
/// `event` its kind and `data` the event as JSON. The first message has an id but no event, so that a client that is
/// disconnected before the first event can resume (HTML, 9.2.6); with `types`, more such messages follow.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    operation_id = "follow_all_tasks",
    tag = "events",
    params(
        ("Last-Event-ID" = Option<String>, Header, nullable = false, pattern = "^[0-9]{1,39}$", description = "Return only events after this one."),
        ("after" = Option<String>, Query, nullable = false, pattern = "^[0-9]{1,39}$", description = "Same as `Last-Event-ID`, for clients that cannot set headers."),
        EventFilter,
    ),
    responses(
        (status = 200, description = "An endless stream of events.", content_type = "text/event-stream", body = SentEvent),
        (status = 409, description = "Events after the given one have been deleted because of their age."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    resume: Resume<EventOffset>,
    Query(filter): Query<EventFilter>,
    ending: DisconnectSignal,
    place: StreamPermit,
) -> Result<Response, ApiError> {
    let log = app.engine().event_log(&caller, resume.after).await.map_err(|e| match e.field() {
        Some("after") => e.with_field(resume.field),
        _ => e,
    })?;
    let begun = stream::once(future::ready(Ok(Event::default().id(log.after.to_string()))));
    // A stream that has started cannot report an error: it ends, and the client resumes from its last id.
    let mut left_out = 0;
    let mut selected = move |entry: Result<Arc<EventLogEntry>, Error>| match entry {
        Ok(entry) if filter.selects(&entry.event.kind) => Some(sent(&entry)),
        Ok(entry) => {
            left_out = (left_out + 1) % LEFT_OUT_PER_ID;
            (left_out == 0).then(|| Ok(Event::default().id(entry.position.to_string())))
        }
        Err(e) => Some(Err(e)),
    };
    let events =
        read_ahead(log.events).filter_map(move |entry| future::ready(selected(entry))).inspect(|event| {
            if let Err(e) = event {
                tracing::warn!(error = %e, "event log stream failed");
            }
        });
    let events = begun.chain(events).take_until(Box::pin(ending.holding(place).wait()));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn sent(entry: &EventLogEntry) -> Result<Event, Error> {
    let event = event_view(entry.event.clone());
    let data = serde_json::to_string(&event).map_err(Error::json)?;
    Ok(Event::default().id(entry.position.to_string()).event(event.kind.name()).data(data))
}
