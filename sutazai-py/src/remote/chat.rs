//! Requests about conversations on a server.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sutazai::domain::ConversationId;
use sutazai::external::futures::{StreamExt, stream};
use sutazai::{Error, Result};
use sutazai_bodies::conversation::{AskAgain, CreateConversation, CreateMessage, RenameConversation};
use sutazai_bodies::error::ErrorBody;

use super::errors::{of_body, unexpected};
use super::http::Http;
use super::request::Request;
use super::sse::SseReader;
use super::{Id, PageBody, page, passed};
use crate::stream::Items;
use crate::verbs::{Answer, answer, id, nothing};

/// Reads the body of a request to the API.
///
/// # Errors
/// `InvalidInput` saying what does not fit.
fn body<T: DeserializeOwned + Serialize>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|e| Error::invalid("request", e.to_string()))
}

pub(super) async fn begin(http: &Http, new: CreateConversation) -> Answer {
    passed(http, &Request::post("api/v1/conversations").json(&new)?).await
}

pub(super) async fn list(http: &Http, body: PageBody) -> Answer {
    page(http, &body.of(Request::get("api/v1/conversations")), |conversation| conversation).await
}

fn path(body: &Id) -> Result<String> {
    Ok(format!("api/v1/conversations/{}", id::<ConversationId>("conversation", &body.id)?))
}

/// Conversation with a page of its messages.
#[derive(Debug, Deserialize)]
struct WithMessages {
    conversation: Value,
    messages: Vec<Value>,
    next_cursor: Option<String>,
}

pub(super) async fn get(http: &Http, body: Id) -> Answer {
    let found: WithMessages = http.data(&Request::get(path(&body)?).query("limit", 1)).await?;
    answer(&found.conversation)
}

#[derive(Debug, Deserialize)]
pub(super) struct Messages {
    #[serde(flatten)]
    id: Id,
    #[serde(flatten)]
    page: PageBody,
}

pub(super) async fn messages(http: &Http, body: Messages) -> Answer {
    let found: WithMessages = http.data(&body.page.of(Request::get(path(&body.id)?))).await?;
    answer(&json!({ "items": found.messages, "next": found.next_cursor }))
}

#[derive(Debug, Deserialize)]
pub(super) struct Rename {
    #[serde(flatten)]
    id: Id,
    title: String,
}

pub(super) async fn rename(http: &Http, rename: Rename) -> Answer {
    let new: RenameConversation = body(json!({ "title": rename.title }))?;
    passed(http, &Request::put(format!("{}/title", path(&rename.id)?)).json(&new)?).await
}

#[derive(Debug, Deserialize)]
pub(super) struct Say {
    #[serde(flatten)]
    id: Id,
    /// Message to answer; `None` for another answer to the latest one.
    text: Option<String>,
    max_tokens: u32,
    temperature: f32,
}

/// Opens the answer to a message: pieces of text, then the usage of the answer as it is stored.
pub(super) async fn say(http: &Http, say: Say) -> Result<Items> {
    let (path, options) =
        (path(&say.id)?, json!({ "max_tokens": say.max_tokens, "temperature": say.temperature }));
    let request = match say.text {
        Some(text) => {
            let mut message = options;
            message["content"] = text.into();
            Request::post(format!("{path}/messages")).json(&body::<CreateMessage>(message)?)?
        }
        None => Request::post(format!("{path}/answer")).json(&body::<AskAgain>(options)?)?,
    };
    let reader = http.events(&request.unlimited()).await?;
    // An error ends the stream, and so does the usage.
    let items = stream::unfold(reader, |reader| async move {
        let mut reader = reader?;
        match next(&mut reader).await {
            Ok(item) => {
                let is_last = item.get("usage").is_some();
                Some((Ok(item), (!is_last).then_some(reader)))
            }
            Err(e) => Some((Err(e), None)),
        }
    });
    Ok(items.boxed())
}

/// Event that reports the stored answer.
#[derive(Debug, Deserialize)]
struct Done {
    message: Value,
}

async fn next(reader: &mut SseReader) -> Result<Value> {
    loop {
        let Some(event) = reader.next().await? else {
            return Err(Error::unavailable("the server broke off the answer of the model"));
        };
        let data = event.data.as_str();
        return match event.name.as_str() {
            "text" => serde_json::from_str(data).map_err(unexpected),
            "done" => {
                let done: Done = serde_json::from_str(data).map_err(unexpected)?;
                Ok(json!({ "usage": done.message.get("usage") }))
            }
            "error" => {
                let error: ErrorBody = serde_json::from_str(data).map_err(unexpected)?;
                Err(of_body(error, reqwest::StatusCode::INTERNAL_SERVER_ERROR))
            }
            // Events of a newer server.
            _ => continue,
        };
    }
}

pub(super) async fn delete(http: &Http, body: Id) -> Answer {
    http.bytes(&Request::delete(path(&body)?)).await?;
    nothing()
}
