//! Requests of Python to an engine: each takes and returns JSON. A file is bytes behind a line of JSON, and so are vectors.

mod chat;
mod documents;
mod machine;
mod models;
mod schedules;
mod server;
mod tasks;

use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sutazai::domain::{Page, PageRequest};
use sutazai::{Error, Result};

use crate::failure::{Failure, closed};
use crate::local::Local;
use crate::stream::Items;

pub(crate) use tasks::within;

/// Number of items on a page for which no other number was asked.
const MAX_PAGE: u32 = 100;

/// JSON that a request returns, or that of its failure.
pub(crate) type Answer = std::result::Result<Vec<u8>, Failure>;

/// Runs one request. It fails as soon as the engine is closed.
pub(crate) async fn run(local: &Local, verb: &str, body: &[u8]) -> Answer {
    tokio::select! {
        biased;
        answer = dispatch(local, verb, body) => answer,
        () = local.closed.cancelled() => Err(closed("engine")),
    }
}

async fn dispatch(local: &Local, verb: &str, body: &[u8]) -> Answer {
    match verb {
        "submit" => tasks::submit(local, read(body)?).await,
        "tasks.get" => tasks::get(local, read(body)?).await,
        "tasks.list" => tasks::list(local, read(body)?).await,
        "tasks.wait" => tasks::wait(local, read(body)?).await,
        "tasks.result" => tasks::result(local, read(body)?).await,
        "tasks.events" => tasks::events(local, read(body)?).await,
        "tasks.messages" => tasks::messages(local, read(body)?).await,
        "tasks.cancel" => tasks::cancel(local, read(body)?).await,
        "tasks.retry" => tasks::retry(local, read(body)?).await,
        "tasks.delete" => tasks::delete(local, read(body)?).await,
        "tasks.retry_failed" => tasks::retry_failed(local, read(body)?).await,
        "tasks.statistics" => tasks::statistics(local).await,
        "tasks.backlog" => tasks::backlog(local).await,
        "watches.create" => tasks::create_watch(local, read(body)?),
        "watches.next" => tasks::next_of_watch(local, read(body)?).await,
        "watches.delete" => tasks::delete_watch(local, read(body)?),
        "agents" => machine::agents(local).await,
        "agents.register" => machine::register(local, read(body)?),
        "health" => machine::health(local).await,
        "metrics.snapshot" => machine::snapshot(local, read(body)?).await,
        "metrics.history" => machine::history(local, read(body)?).await,
        "metrics.series" => machine::series(local, read(body)?).await,
        "schedules.create" => schedules::create(local, read(body)?).await,
        "schedules.list" => schedules::list(local, read(body)?).await,
        "schedules.get" => schedules::get(local, read(body)?).await,
        "schedules.replace" => schedules::replace(local, read(body)?).await,
        "schedules.delete" => schedules::delete(local, read(body)?).await,
        "server.start" => server::start(local, read(body)?).await,
        "server.stop" => server::stop(local, read(body)?).await,
        "models.list" => models::list(local).await,
        "models.load" => models::load(local, read(body)?).await,
        "models.complete" => models::complete(local, read(body)?).await,
        "models.embed" => models::embed(local, read(body)?).await,
        "documents.add" => {
            let (header, file) = with_bytes(body);
            documents::add(local, read(header)?, file).await
        }
        "documents.list" => documents::list(local, read(body)?).await,
        "documents.get" => documents::get(local, read(body)?).await,
        "documents.chunks" => documents::chunks(local, read(body)?).await,
        "documents.search" => documents::search(local, read(body)?).await,
        "documents.delete" => documents::delete(local, read(body)?).await,
        "chat.begin" => chat::begin(local, read(body)?).await,
        "chat.list" => chat::list(local, read(body)?).await,
        "chat.get" => chat::get(local, read(body)?).await,
        "chat.rename" => chat::rename(local, read(body)?).await,
        "chat.messages" => chat::messages(local, read(body)?).await,
        "chat.delete" => chat::delete(local, read(body)?).await,
        other => Err(unknown(other).into()),
    }
}

/// Opens the stream of a request.
///
/// # Errors
/// Those of the request.
pub(crate) async fn open_stream(local: &Local, verb: &str, body: &[u8]) -> Result<Items> {
    match verb {
        "models.stream" => models::open(local, read(body)?).await,
        "models.pull" => models::pull(local, read(body)?).await,
        "tasks.feed" => tasks::feed(local, read(body)?).await,
        "chat.say" => chat::say(local, read(body)?).await,
        other => Err(unknown(other)),
    }
}

pub(crate) fn unknown(verb: &str) -> Error {
    Error::unsupported(format!("no request is called {verb:?}"))
}

/// Splits a body into its line of JSON and the bytes behind it.
pub(crate) fn with_bytes(body: &[u8]) -> (&[u8], &[u8]) {
    match body.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&body[..end], &body[end + 1..]),
        None => (body, &[]),
    }
}

/// Id of the object that a request is about.
#[derive(Debug, Deserialize)]
struct Id {
    id: String,
}

/// Page of a listing.
#[derive(Debug, Deserialize)]
struct PageBody {
    #[serde(default)]
    cursor: Option<String>,
    #[serde(default)]
    limit: Option<u32>,
}

impl PageBody {
    /// Returns the requested page.
    ///
    /// # Errors
    /// `InvalidInput` naming `cursor` or `limit`.
    fn request<C: FromStr>(&self) -> Result<PageRequest<C>> {
        let cursor = self.cursor.as_deref().map(C::from_str).transpose().map_err(|_| unknown_cursor())?;
        PageRequest::new(cursor, self.limit.unwrap_or(MAX_PAGE))
    }
}

fn unknown_cursor() -> Error {
    Error::invalid("cursor", "expected the cursor of a page, unchanged")
}

/// Reads the body of a request.
///
/// # Errors
/// `InvalidInput` saying what does not fit.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    sutazai_bodies::exact_json::from_slice(body).map_err(|e| Error::invalid("request", e.to_string()))
}

/// Parses the id of an object.
///
/// # Errors
/// `NotFound`, because nothing has an id that is no UUID.
pub(crate) fn id<T: FromStr>(what: &str, id: &str) -> Result<T> {
    id.parse().map_err(|_| Error::not_found(format!("{what} {id}")))
}

/// Writes the answer to a request.
pub(crate) fn answer(value: &impl Serialize) -> Answer {
    serde_json::to_vec(value).map_err(|e| Error::json(e).into())
}

/// Writes a page of items.
fn page<T: Serialize, C: ToString>(page: Page<T, C>) -> Answer {
    let next = page.next.map(|next| next.to_string());
    answer(&json!({ "items": page.items, "next": next }))
}

/// Writes the answer to a request that returns nothing.
pub(crate) fn nothing() -> Answer {
    answer(&Value::Null)
}
