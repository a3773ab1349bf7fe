//! Server in another process, or on another machine: the requests of Python over its HTTP API.
//!
//! Requests take and return the JSON of those to an engine. A request for which the API has no route is `Unsupported`.

mod chat;
mod documents;
mod ends;
mod errors;
mod events;
mod http;
mod machine;
mod models;
mod request;
mod schedules;
mod session;
mod sse;
mod tasks;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use sutazai::external::CancellationToken;
use sutazai::{Error, Result};
use sutazai_bodies::page::PageView;

use self::ends::{EndedTasks, EndedWaiter};
use self::events::ParkedStreams;
use self::http::Http;
use self::models::KnownModels;
use self::request::Request;
use crate::failure::closed;
use crate::stream::Items;
use crate::verbs::{Answer, answer, read, unknown, with_bytes};
use crate::watches::Watches;

/// Connection to a server with the state of its callers.
#[derive(Debug)]
pub(crate) struct Remote {
    http: Http,
    ended: EndedTasks,
    watches: Watches<EndedWaiter>,
    parked: ParkedStreams,
    models: KnownModels,
    /// Cancelled once the client is closed; no request waits longer.
    pub(crate) closed: CancellationToken,
}

impl Remote {
    /// Connects to a server with these options, given as JSON. Only a sign-in sends a request.
    ///
    /// # Errors
    /// `InvalidInput` naming the option, and those of a sign-in.
    pub(crate) async fn connect(options: &[u8]) -> Result<Self> {
        let http = Http::open(options).await?;
        let (ended, closed) = (EndedTasks::default(), CancellationToken::new());
        tokio::spawn(ended.clone().run(http.clone(), closed.clone()));
        Ok(Self {
            http,
            ended,
            watches: Watches::default(),
            parked: ParkedStreams::default(),
            models: KnownModels::default(),
            closed,
        })
    }

    /// Releases all requests that wait, and ends the session if the client has signed in.
    pub(crate) async fn close(&self) {
        self.closed.cancel();
        self.watches.clear();
        self.parked.clear();
        self.http.sign_out().await;
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

/// Runs one request. It fails as soon as the client is closed.
pub(crate) async fn run(remote: &Remote, verb: &str, body: &[u8]) -> Answer {
    tokio::select! {
        biased;
        answer = dispatch(remote, verb, body) => answer,
        () = remote.closed.cancelled() => Err(closed("client")),
    }
}

async fn dispatch(remote: &Remote, verb: &str, body: &[u8]) -> Answer {
    let http = &remote.http;
    match verb {
        "submit" => tasks::submit(http, read(body)?).await,
        "tasks.get" => tasks::get(http, read(body)?).await,
        "tasks.list" => tasks::list(http, read(body)?).await,
        "tasks.wait" => tasks::wait(remote, read(body)?).await,
        "tasks.result" => tasks::result(remote, read(body)?).await,
        "tasks.events" => events::next(remote, read(body)?).await,
        "tasks.messages" => tasks::messages(http, read(body)?).await,
        "tasks.cancel" => tasks::change(http, read(body)?, "cancel").await,
        "tasks.retry" => tasks::change(http, read(body)?, "retry").await,
        "tasks.delete" => tasks::delete(http, read(body)?).await,
        "tasks.retry_failed" => tasks::retry_failed(http, read(body)?).await,
        "tasks.statistics" => tasks::statistics(http).await,
        "tasks.backlog" => tasks::backlog(http).await,
        "watches.create" => tasks::create_watch(remote, read(body)?),
        "watches.next" => tasks::next_of_watch(remote, read(body)?).await,
        "watches.delete" => tasks::delete_watch(remote, read(body)?),
        "agents" => machine::agents(http).await,
        "health" => machine::health(http).await,
        "metrics.snapshot" => machine::snapshot(http, read(body)?).await,
        "metrics.history" => machine::history(http, read(body)?).await,
        "metrics.series" => machine::series(http, read(body)?).await,
        "schedules.create" => schedules::create(http, read(body)?).await,
        "schedules.list" => schedules::list(http, read(body)?).await,
        "schedules.get" => schedules::get(http, read(body)?).await,
        "schedules.replace" => schedules::replace(http, read(body)?).await,
        "schedules.delete" => schedules::delete(http, read(body)?).await,
        "models.list" => models::list(http).await,
        "models.load" => Err(Error::unsupported("a server loads its models itself").into()),
        "models.complete" => models::complete(remote, read(body)?).await,
        "models.embed" => models::embed(remote, read(body)?).await,
        "documents.add" => {
            let (header, file) = with_bytes(body);
            documents::add(http, read(header)?, file).await
        }
        "documents.list" => documents::list(http, read(body)?).await,
        "documents.get" => documents::get(http, read(body)?).await,
        "documents.chunks" => documents::chunks(http, read(body)?).await,
        "documents.search" => documents::search(http, read(body)?).await,
        "documents.delete" => documents::delete(http, read(body)?).await,
        "chat.begin" => chat::begin(http, read(body)?).await,
        "chat.list" => chat::list(http, read(body)?).await,
        "chat.get" => chat::get(http, read(body)?).await,
        "chat.rename" => chat::rename(http, read(body)?).await,
        "chat.messages" => chat::messages(http, read(body)?).await,
        "chat.delete" => chat::delete(http, read(body)?).await,
        other => Err(unknown(other).into()),
    }
}

/// Opens the stream of a request.
///
/// # Errors
/// Those of the request.
pub(crate) async fn open_stream(remote: &Remote, verb: &str, body: &[u8]) -> Result<Items> {
    match verb {
        "models.stream" => models::open(remote, read(body)?).await,
        "models.pull" => models::pull(&remote.http, read(body)?).await,
        "tasks.feed" => events::feed(&remote.http, read(body)?).await,
        "chat.say" => chat::say(&remote.http, read(body)?).await,
        other => Err(unknown(other)),
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
    /// Adds the query parameters of this page to a request.
    fn of(self, request: Request) -> Request {
        request.query_if("cursor", self.cursor).query_if("limit", self.limit)
    }
}

/// Reads a page of a listing, whose items `view` converts.
async fn page(http: &Http, request: &Request, view: impl Fn(Value) -> Value) -> Answer {
    let found: PageView<Value> = http.data(request).await?;
    let items: Vec<Value> = found.items.into_iter().map(view).collect();
    answer(&json!({ "items": items, "next": found.next_cursor }))
}

/// Sends a request and returns its data unchanged.
async fn passed(http: &Http, request: &Request) -> Answer {
    answer(&http.data::<Value>(request).await?)
}

/// Returns the items of a list that has one page.
async fn items(http: &Http, request: &Request) -> Answer {
    let mut found: Map<String, Value> = http.data(request).await?;
    answer(&found.remove("items"))
}
