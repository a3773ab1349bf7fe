//! `POST /v1/chat/completions`: completes a chat, as one response or as a stream.

use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use sutazai_core::domain::{Caller, ModelEvent};
use sutazai_core::ports::ModelBackend;
use sutazai_core::{Error, Result};

use crate::app::App;
use crate::dto::openai::chat::{CreateChatCompletion, Wanted};
use crate::dto::openai::completion::{ChatCompletion, Chunks};
use crate::dto::openai::error::ProtocolError;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::ProtocolJson;
use crate::openai_api::{checked_answer, named};
use crate::routes::tasks::events::KEEP_ALIVE;
use crate::streaming::disconnect_signal::DisconnectSignal;

/// Create a chat completion (OpenAI-compatible).
///
/// With `stream`, the answer is sent as server-sent events: chunks, then `[DONE]`. If `response_format` contains a
/// JSON Schema, the answer conforms to it or the request fails; a stream then starts only after the whole answer has
/// been validated.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    operation_id = "openai_create_chat_completion",
    tag = "openai",
    request_body = CreateChatCompletion,
    responses(
        (status = 200, description = "The completion, or a stream of chunks.", content(
            (ChatCompletion = "application/json"),
            (String = "text/event-stream"),
        )),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    ending: DisconnectSignal,
    ProtocolJson(body): ProtocolJson<CreateChatCompletion>,
) -> Result<Response, ApiError> {
    let wanted = body.wanted()?;
    let model = app.model_for(&caller)?;
    let now = app.engine().clock().now();
    let length_parameter = wanted.length_parameter;
    let named = |e: Error| match e.field() {
        Some("max_tokens") => named(e.with_field(length_parameter)),
        _ => named(e),
    };
    if !wanted.stream {
        let (text, usage) = checked_answer(&*model, wanted.request).await.map_err(named)?;
        return Ok(Reply::ok(&ChatCompletion::new(text, usage, now)).into_response());
    }
    let chunks = Chunks::new(wanted.model.clone(), wanted.include_usage, now);
    let events = events(&*model, wanted).await.map_err(named)?;
    let sent = sent(events, chunks).take_until(Box::pin(ending.wait()));
    Ok(Sse::new(sent).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// Starts the model's answer as a stream of events. Under a constraint the answer is completed and validated first,
/// because text that has been sent cannot be taken back.
async fn events(model: &dyn ModelBackend, wanted: Wanted) -> Result<BoxStream<'static, Result<ModelEvent>>> {
    if wanted.request.constraint.is_none() {
        return model.generate(wanted.request).await;
    }
    let (text, usage) = checked_answer(model, wanted.request).await?;
    let text = Some(text).filter(|text| !text.is_empty()).map(|text| Ok(ModelEvent::Text(text)));
    Ok(stream::iter(text.into_iter().chain([Ok(ModelEvent::Done(usage))])).boxed())
}

/// Formats the events as the protocol requires: one chunk for each event, then `[DONE]`. An error replaces its chunk
/// and ends the stream, because the status line has already been sent.
fn sent(
    events: BoxStream<'static, Result<ModelEvent>>,
    chunks: Chunks,
) -> impl Stream<Item = Result<Event, Error>> + Send {
    let first = chunks.first();
    let rest = events.flat_map(move |event| {
        stream::iter(match event {
            Ok(ModelEvent::Text(text)) => vec![chunks.text(&text)],
            Ok(ModelEvent::Done(usage)) => {
                let mut last = chunks.last(&usage);
                last.push("[DONE]".into());
                last
            }
            Err(e) => vec![ProtocolError::from(&ApiError::from(named(e))).to_json()],
        })
    });
    stream::iter([first]).chain(rest).map(|data| Ok(Event::default().data(data)))
}
