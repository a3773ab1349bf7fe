//! `GET /api/v1/tasks/{id}/events`: what happens to a task, as it happens (server-sent events).

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, future};
use sutazai_core::Error;
use sutazai_core::domain::{Caller, TaskEvent, TaskId};

use crate::app::App;
use crate::dto::task::event_view;
use crate::error::ApiError;
use crate::extract::IdPath;
use crate::server::Closing;

const LAST_EVENT_ID: &str = "last-event-id";
/// Comments keep the connection from looking dead to whatever lies between.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Follow a task (server-sent events).
///
/// What has happened, then what happens, until the task has ended. `id` is the number of the event, `event` its kind,
/// `data` the event as JSON.
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{id}/events",
    operation_id = "follow_task",
    tag = "tasks",
    params(
        ("id" = Uuid, Path),
        ("Last-Event-ID" = Option<u64>, Header, nullable = false, description = "Only what comes after this event."),
    ),
    responses(
        (status = 200, description = "A stream that ends with the task.", content_type = "text/event-stream", body = String),
        (status = 204, description = "The task has ended and nothing comes after `Last-Event-ID`."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
    headers: HeaderMap,
    closing: Option<Extension<Closing>>,
) -> Result<Response, ApiError> {
    let after = last_event_id(&headers)?;
    let task = app.engine().task(&caller, id).await?;
    let mut events = app.engine().events(&caller, id, after.unwrap_or(0)).await?.peekable();
    if after.is_some() && task.status.has_ended() && std::pin::Pin::new(&mut events).peek().await.is_none() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let closed = async move {
        match closing {
            Some(Extension(closing)) => closing.0.cancelled_owned().await,
            None => future::pending().await,
        }
    };
    // An error cannot be told in the middle of a stream: it ends, and the caller resumes where it was.
    let stream =
        events.take_until(Box::pin(closed)).map(|event| event.and_then(sent)).inspect(move |event| {
            if let Err(e) = event {
                tracing::warn!(task_id = %id, error = %e, "an event stream broke off");
            }
        });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn sent(event: TaskEvent) -> Result<Event, Error> {
    let event = event_view(event);
    let data = serde_json::to_string(&event)?;
    Ok(Event::default().id(event.sequence.to_string()).event(event.kind.name()).data(data))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let number = value.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let number = number.and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| Error::invalid(LAST_EVENT_ID, "expected the id of an event: 0, 1, 2 ..."))
}
