//! Events of one task and of all tasks of a server, over connections that may break.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use sutazai::Result;
use sutazai::domain::TaskId;
use sutazai::external::futures::{StreamExt, stream};
use sutazai::ports::{Clock, SystemClock};

use super::errors::unexpected;
use super::http::Http;
use super::request::Request;
use super::sse::SseReader;
use super::{Id, Remote};
use crate::stream::Items;
use crate::verbs::{Answer, answer, id};

/// Maximum number of events in one answer.
const MAX_EVENTS: usize = 256;
/// Delay after a stream that has ended before its time, such as that of a server that restarts.
const REOPEN_DELAY: Duration = Duration::from_millis(500);
/// Time for which a stream stays open until the next request for its events.
const PARKING_TIME: Duration = Duration::from_secs(10);

/// Streams between two requests of a caller who reads the events of a task one chunk after another, by the task and the
/// sequence of the last event. Without them each chunk would need a new stream.
#[derive(Debug, Clone, Default)]
pub(super) struct ParkedStreams {
    streams: Arc<Mutex<HashMap<(TaskId, u64), SseReader>>>,
}

impl ParkedStreams {
    fn take(&self, task: TaskId, after: u64) -> Option<SseReader> {
        self.lock().remove(&(task, after))
    }

    /// Keeps a stream for [`PARKING_TIME`].
    fn keep(&self, task: TaskId, after: u64, reader: SseReader) {
        self.lock().insert((task, after), reader);
        let parked = self.clone();
        tokio::spawn(async move {
            SystemClock.sleep(PARKING_TIME).await;
            // Another stream at the same place ends too, and its reader opens a new one.
            drop(parked.take(task, after));
        });
    }

    /// Ends the streams of all tasks.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(TaskId, u64), SseReader>> {
        // A poisoned lock is safe to use: every change of the map is a single insert or remove.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Events {
    #[serde(flatten)]
    id: Id,
    after: u64,
}

/// Returns the next events of a task, at least one; none after the last.
pub(super) async fn next(remote: &Remote, body: Events) -> Answer {
    let task: TaskId = id("task", &body.id.id)?;
    let mut follower = Follower {
        http: remote.http.clone(),
        task,
        after: body.after,
        reader: remote.parked.take(task, body.after),
    };
    let Some(first) = follower.next().await? else { return answer(&Value::Array(Vec::new())) };
    let mut events = vec![first];
    while events.len() < MAX_EVENTS
        && let Some(event) = follower.arrived()?
    {
        events.push(event);
    }
    if let Some(reader) = follower.reader {
        remote.parked.keep(task, follower.after, reader);
    }
    answer(&events)
}

/// Reader of the events of one task, which opens another stream if one breaks.
#[derive(Debug)]
pub(super) struct Follower {
    http: Http,
    task: TaskId,
    after: u64,
    reader: Option<SseReader>,
}

impl Follower {
    /// Creates a reader of all events of a task.
    pub(super) fn new(http: Http, task: TaskId) -> Self {
        Self { http, task, after: 0, reader: None }
    }

    /// Waits for the next event; `None` after the last.
    ///
    /// # Errors
    /// Those of opening a stream.
    pub(super) async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            let mut reader = match self.reader.take() {
                Some(reader) => reader,
                None => match self.open().await? {
                    Some(reader) => reader,
                    None => return Ok(None),
                },
            };
            match reader.next().await {
                Ok(Some(event)) => {
                    self.reader = Some(reader);
                    if !event.data.is_empty() {
                        return self.read(&event.data).map(Some);
                    }
                }
                // The task has ended, which the next request says, or the server stops.
                Ok(None) => {}
                Err(e) => {
                    tracing::debug!(error = %e, "event stream ended; reopening");
                    SystemClock.sleep(REOPEN_DELAY).await;
                }
            }
        }
    }

    /// Returns the next event if it has arrived.
    fn arrived(&mut self) -> Result<Option<Value>> {
        let event = self.reader.as_mut().and_then(SseReader::arrived);
        event.filter(|event| !event.data.is_empty()).map(|event| self.read(&event.data)).transpose()
    }

    // Exclusive, since a shared reference to a reader cannot move between threads.
    async fn open(&mut self) -> Result<Option<SseReader>> {
        let request = Request::get(format!("api/v1/tasks/{}/events", self.task)).query("after", self.after);
        self.http.events(&request).await
    }

    fn read(&mut self, data: &str) -> Result<Value> {
        let event: Value = serde_json::from_str(data).map_err(unexpected)?;
        self.after = event.get("sequence").and_then(Value::as_u64).unwrap_or(self.after);
        Ok(event)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Feed {
    after: Option<String>,
}

/// Reader of the events of all tasks.
struct FeedReader {
    http: Http,
    after: Option<String>,
    reader: Option<SseReader>,
}

impl FeedReader {
    async fn next(&mut self) -> Result<Value> {
        loop {
            if self.reader.is_none() {
                let request = Request::get("api/v1/events").query_if("after", self.after.as_deref());
                self.reader = self.http.events(&request).await?;
            }
            let event = match &mut self.reader {
                Some(reader) => reader.next().await,
                None => Ok(None),
            };
            match event {
                Ok(Some(event)) => {
                    self.after = event.id.or(self.after.take());
                    if !event.data.is_empty() {
                        let event: Value = serde_json::from_str(&event.data).map_err(unexpected)?;
                        // The API does not say whose task it is.
                        return Ok(json!({ "position": self.after, "owner": null, "event": event }));
                    }
                }
                Ok(None) | Err(_) => {
                    self.reader = None;
                    SystemClock.sleep(REOPEN_DELAY).await;
                }
            }
        }
    }
}

/// Opens the events of all tasks after a position, or from now on.
pub(super) async fn feed(http: &Http, body: Feed) -> Result<Items> {
    let mut reader = FeedReader { http: http.clone(), after: body.after, reader: None };
    let request = Request::get("api/v1/events").query_if("after", reader.after.as_deref());
    reader.reader = http.events(&request).await?;
    // An error ends the stream.
    let items = stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        match reader.next().await {
            Ok(item) => Some((Ok(item), Some(reader))),
            Err(e) => Some((Err(e), None)),
        }
    });
    Ok(items.boxed())
}
