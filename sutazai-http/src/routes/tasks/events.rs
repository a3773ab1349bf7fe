//! `GET /api/v1/tasks/{id}/events`: streams the events of one task (server-sent events).

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use sutazai_core::Error;
use sutazai_core::domain::{Caller, TaskEvent, TaskId};

use crate::app::App;
use crate::dto::event::SentEvent;
use crate::dto::task::event_view;
use crate::error::ApiError;
use crate::extract::IdPath;
use crate::streaming::disconnect_signal::DisconnectSignal;
use crate::streaming::reader::read_ahead;
use crate::streaming::resume::Resume;
use crate::streaming::streams::StreamPermit;

/// Interval of comments on an idle stream, so that proxies do not close it as idle.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Follow a task (server-sent events).
///
/// Streams past events, then new ones, until the task has ended. `id` is the sequence number of the event, `event`
/// its kind and `data` the event as JSON. If the task has ended and has no event after the given one, the response is
/// 204, which stops browsers from reconnecting (HTML, 9.2).
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{id}/events",
    operation_id = "follow_task",
    tag = "tasks",
    params(
        ("id" = Uuid, Path),
        ("Last-Event-ID" = Option<u64>, Header, nullable = false, description = "Return only events after this one."),
        ("after" = Option<u64>, Query, nullable = false, description = "Same as `Last-Event-ID`, for clients that cannot set headers."),
    ),
    responses(
        (status = 200, description = "A stream that ends when the task has ended.", content_type = "text/event-stream", body = SentEvent),
        (status = 204, description = "The task has ended, and there is no event after the given one."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
    // Signed: the stores count sequence numbers in 63 bits, so a larger number cannot exist.
    resume: Resume<i64>,
    ending: DisconnectSignal,
    place: StreamPermit,
) -> Result<Response, ApiError> {
    let task = app.engine().task(&caller, id).await?;
    let events = app.engine().events(&caller, id, resume.after.unwrap_or(0).unsigned_abs()).await?;
    let mut events = read_ahead(events).peekable();
    let resumed = resume.after.is_some();
    if resumed && task.status.has_ended() && std::pin::Pin::new(&mut events).peek().await.is_none() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    // A stream that has started cannot report an error: it ends, and the client resumes from its last id.
    let stream = events
        .take_until(Box::pin(ending.holding(place).wait()))
        .map(|event| event.and_then(sent))
        .inspect(move |event| {
            if let Err(e) = event {
                tracing::warn!(task_id = %id, error = %e, "event stream failed");
            }
        });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn sent(event: TaskEvent) -> Result<Event, Error> {
    let event = event_view(event);
    let data = serde_json::to_string(&event).map_err(Error::json)?;
    Ok(Event::default().id(event.sequence.to_string()).event(event.kind.name()).data(data))
}
