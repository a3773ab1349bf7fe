//! `POST /api/v1/conversations/{id}/messages`: says something, and streams the answer (server-sent events).

use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::Serialize;
use sutazai_core::chat::ChatEvent;
use sutazai_core::domain::{Caller, ConversationId, MessageId};
use sutazai_core::{Error, Result};

use crate::app::App;
use crate::dto::conversation::{CreateMessage, DoneEvent, TextEvent};
use crate::error::ApiError;
use crate::extract::{IdPath, Json};
use crate::live::ending::Ending;
use crate::routes::tasks::events::KEEP_ALIVE;

/// Say something in a conversation.
///
/// The message is kept, then the model answers as server-sent events: `text` with a piece of the answer, again and again,
/// then `done` with the message as it is kept, or `error`. Of an answer whose reader goes away, what was written so far is
/// kept and marked as cut.
#[utoipa::path(
    post,
    path = "/api/v1/conversations/{id}/messages",
    operation_id = "say",
    tag = "conversations",
    params(("id" = Uuid, Path)),
    request_body = CreateMessage,
    responses(
        (status = 200, description = "The answer.", content_type = "text/event-stream", body = String),
        (status = 409, description = "The user has no space left for messages."),
        (status = 429, description = "The user has used up what one user may ask of the model."),
        (status = 503, description = "The model is in use, or there is none."),
        (status = 504, description = "The model did not answer in time."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<ConversationId>,
    ending: Ending,
    Json(body): Json<CreateMessage>,
) -> Result<Response, ApiError> {
    let (said, answer) = app.chat()?.say(&caller, id, body.into()).await?;
    let events = answer.map(move |event| sent(event, said.id));
    let events = events.take_until(Box::pin(ending.come()));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn sent(event: Result<ChatEvent>, in_reply_to: MessageId) -> Result<Event, Error> {
    match event {
        Ok(ChatEvent::Text(text)) => named("text", &TextEvent { text }),
        Ok(ChatEvent::Done(message)) => named("done", &DoneEvent { message: message.into(), in_reply_to }),
        Err(e) => named("error", &ApiError::from(e).body()),
    }
}

fn named(name: &str, data: &impl Serialize) -> Result<Event, Error> {
    Ok(Event::default().event(name).data(serde_json::to_string(data)?))
}
