//! `POST /api/v1/conversations/{id}/messages`: adds a message and streams the model's answer (server-sent events).

use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::Serialize;
use sutazai_bodies::conversation::CreateMessage;
use sutazai_core::chat::{Answer, ChatEvent};
use sutazai_core::domain::{Caller, ConversationId, MessageId};
use sutazai_core::{Error, Result};

use crate::app::App;
use crate::dto::conversation::{DoneEvent, TextEvent};
use crate::error::ApiError;
use crate::extract::{IdPath, Json};
use crate::routes::tasks::events::KEEP_ALIVE;
use crate::streaming::disconnect_signal::DisconnectSignal;

/// Send a message in a conversation.
///
/// Stores the message, then streams the model's answer as server-sent events: any number of `text` events with a
/// piece of the answer each, then `done` with the stored answer, or `error`. If the client disconnects, the part
/// written so far is stored and marked as `cut`. A conversation without a title gets the first words of the message as its
/// title.
#[utoipa::path(
    post,
    path = "/api/v1/conversations/{id}/messages",
    operation_id = "say",
    tag = "conversations",
    params(("id" = Uuid, Path)),
    request_body = CreateMessage,
    responses(
        (status = 200, description = "The answer as a stream of events.", content_type = "text/event-stream", body = String),
        (status = 409, description = "The user's quota of messages is used up."),
        (status = 429, description = "The user has used up their share of model requests."),
        (status = 503, description = "All model slots are in use, or no model backend is configured."),
        (status = 504, description = "The model did not answer in time."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<ConversationId>,
    ending: DisconnectSignal,
    Json(body): Json<CreateMessage>,
) -> Result<Response, ApiError> {
    let (said, answer) = app.require_chat()?.say(&caller, id, body.into()).await?;
    Ok(streamed(answer, said.id, ending))
}

/// Streams an answer to this message until it ends or the client disconnects.
pub(super) fn streamed(answer: Answer, to: MessageId, ending: DisconnectSignal) -> Response {
    let events = answer.map(move |event| sent(event, to));
    let events = events.take_until(Box::pin(ending.wait()));
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

fn sent(event: Result<ChatEvent>, in_reply_to: MessageId) -> Result<Event, Error> {
    match event {
        Ok(ChatEvent::Text(text)) => named("text", &TextEvent { text }),
        Ok(ChatEvent::Done(message)) => named("done", &DoneEvent { message: message.into(), in_reply_to }),
        Err(e) => named("error", &ApiError::from(e).body()),
    }
}

fn named(name: &str, data: &impl Serialize) -> Result<Event, Error> {
    Ok(Event::default().event(name).data(serde_json::to_string(data).map_err(Error::json)?))
}
