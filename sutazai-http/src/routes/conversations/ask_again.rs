//! `POST /api/v1/conversations/{id}/answer`: streams another answer to the latest message (server-sent events).

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use sutazai_bodies::conversation::AskAgain;
use sutazai_core::domain::{Caller, ConversationId};

use super::say::streamed;
use crate::app::App;
use crate::error::ApiError;
use crate::extract::{IdPath, OptionalJson};
use crate::streaming::disconnect_signal::DisconnectSignal;

/// Ask again.
///
/// Streams another answer to the latest message of the user, with the same events as for a new message. Earlier answers
/// to it stay in the conversation, but the model is not shown them.
#[utoipa::path(
    post,
    path = "/api/v1/conversations/{id}/answer",
    operation_id = "ask_again",
    tag = "conversations",
    params(("id" = Uuid, Path)),
    request_body = Option<AskAgain>,
    responses(
        (status = 200, description = "The answer as a stream of events.", content_type = "text/event-stream", body = String),
        (status = 409, description = "The conversation has no message that could be answered."),
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
    OptionalJson(body): OptionalJson<AskAgain>,
) -> Result<Response, ApiError> {
    let (said, answer) = app.require_chat()?.ask_again(&caller, id, body.into()).await?;
    Ok(streamed(answer, said.id, ending))
}
