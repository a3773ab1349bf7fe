//! `GET /api/v1/events`: what happens to the caller's tasks, as it happens (server-sent events).

use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, future, stream};
use sutazai_core::Error;
use sutazai_core::domain::{Caller, EventPosition, FeedEvent};

use crate::app::App;
use crate::dto::task::event_view;
use crate::error::ApiError;
use crate::live::ending::Ending;
use crate::live::resume::Resume;
use crate::routes::tasks::events::KEEP_ALIVE;

/// 200 and a stream without an end: `id` is where the event stands among all, `event` the kind, `data` the event as JSON.
/// It begins with what comes now, or after the event that `Last-Event-ID` or `after` names. The first id comes at once
/// and without an event, so that who is cut off before one comes can resume too (HTML, 9.2.6).
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    resume: Resume<EventPosition>,
    ending: Ending,
) -> Result<Response, ApiError> {
    let feed = app.engine().feed(&caller, resume.after).await.map_err(|e| match e.field() {
        Some("after") => e.with_field(resume.field),
        _ => e,
    })?;
    let begun = stream::once(future::ready(Ok(Event::default().id(feed.after.to_string()))));
    // An error cannot be told in the middle of a stream: it ends, and the caller resumes where it was.
    let events = feed.events.map(|entry| entry.and_then(|entry| sent(&entry))).inspect(|event| {
        if let Err(e) = event {
            tracing::warn!(error = %e, "a stream of all events broke off");
        }
    });
    let events = begun.chain(events).take_until(Box::pin(ending.come()));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn sent(entry: &FeedEvent) -> Result<Event, Error> {
    let event = event_view(entry.event.clone());
    let data = serde_json::to_string(&event)?;
    Ok(Event::default().id(entry.position.to_string()).event(event.kind.name()).data(data))
}
