//! `GET /api/v1/events`: what happens to the caller's tasks, as it happens (server-sent events).

use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, future, stream};
use sutazai_core::Error;
use sutazai_core::domain::{Caller, EventPosition, FeedEvent};

use crate::app::App;
use crate::dto::event::SentEvent;
use crate::dto::task::event_view;
use crate::error::ApiError;
use crate::live::ending::Ending;
use crate::live::reader::read_ahead;
use crate::live::resume::Resume;
use crate::live::streams::StreamPlace;
use crate::routes::tasks::events::KEEP_ALIVE;

/// Follow all the caller's tasks (server-sent events).
///
/// What happens from now on, or after the event that is named. `id` is where the event stands among all, `event` its
/// kind, `data` the event as JSON. The first id comes at once and without an event, so that who is cut off before one
/// comes can resume too (HTML, 9.2.6).
#[utoipa::path(
    get,
    path = "/api/v1/events",
    operation_id = "follow_all_tasks",
    tag = "events",
    params(
        ("Last-Event-ID" = Option<String>, Header, nullable = false, pattern = "^[0-9]{1,39}$", description = "Only what comes after this event."),
        ("after" = Option<String>, Query, nullable = false, pattern = "^[0-9]{1,39}$", description = "The same, where no header can be set."),
    ),
    responses(
        (status = 200, description = "A stream without an end.", content_type = "text/event-stream", body = SentEvent),
        (status = 409, description = "Events that came after this one were removed since, for their age."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    resume: Resume<EventPosition>,
    ending: Ending,
    place: StreamPlace,
) -> Result<Response, ApiError> {
    let feed = app.engine().feed(&caller, resume.after).await.map_err(|e| match e.field() {
        Some("after") => e.with_field(resume.field),
        _ => e,
    })?;
    let begun = stream::once(future::ready(Ok(Event::default().id(feed.after.to_string()))));
    // An error cannot be told in the middle of a stream: it ends, and the caller resumes where it was.
    let events = read_ahead(feed.events).map(|entry| entry.and_then(|entry| sent(&entry))).inspect(|event| {
        if let Err(e) = event {
            tracing::warn!(error = %e, "a stream of all events broke off");
        }
    });
    let events = begun.chain(events).take_until(Box::pin(ending.holding(place).come()));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn sent(entry: &FeedEvent) -> Result<Event, Error> {
    let event = event_view(entry.event.clone());
    let data = serde_json::to_string(&event)?;
    Ok(Event::default().id(entry.position.to_string()).event(event.kind.name()).data(data))
}
