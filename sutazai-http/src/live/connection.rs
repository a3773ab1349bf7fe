//! One WebSocket from its opening to its close.
//!
//! Nothing waits here for a client that does not read: an event is taken from its subscription when the one before it has
//! been sent. Each subscription is read by a task of its own (`reader`), so that none keeps a connection to the database
//! while this one waits for its client or for another subscription. A connection holds one message, and one more of each
//! subscription beside what its stream has read.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, close_code};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use sutazai_core::domain::{Caller, TaskEvent};
use sutazai_core::ports::Clock;
use sutazai_core::{Error, ErrorKind, Result};
use tokio_stream::StreamMap;

use crate::app::App;
use crate::dto::task::event_view;
use crate::error::ApiError;
use crate::live::ending::{Ending, Reason};
use crate::live::message::{Message, Request, Subscription};
use crate::live::reader::read_ahead;
use crate::live::resume::read_id;
use crate::live::token_bucket::TokenBucket;

/// The largest message in bytes that is read.
pub(crate) const MAX_MESSAGE: usize = 16 * 1_024;
/// Subscriptions of one connection.
const MOST_SUBSCRIPTIONS: usize = 32;
/// The time between two pings; who has said nothing from one to the next is gone.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long a client may take to read one message.
const SEND_LIMIT: Duration = Duration::from_secs(10);
/// How long the other side gets to answer a close.
const PART_LIMIT: Duration = Duration::from_secs(5);
/// How long it gets to read one that it cannot answer.
const LINGER: Duration = Duration::from_secs(1);

/// A WebSocket with what its client has subscribed to.
pub(crate) struct Connection {
    app: App,
    caller: Caller,
    clock: Arc<dyn Clock>,
    socket: WebSocket,
    subscriptions: StreamMap<Subscription, BoxStream<'static, Delivery>>,
    /// What messages that ask the database take from.
    requests: TokenBucket,
}

/// Why a connection ends.
struct Close {
    code: u16,
    reason: &'static str,
}

/// What a subscription gives.
enum Delivery {
    Event { id: String, event: TaskEvent },
    Failed(Error),
    End,
}

/// The connection is to end: with a close, or without when nobody is there to hear it.
type Over = Option<Close>;

impl Connection {
    pub(crate) fn new(app: App, caller: Caller, socket: WebSocket) -> Self {
        let clock = app.engine().clock();
        let requests = TokenBucket::new(clock.now());
        Self { app, caller, clock, socket, subscriptions: StreamMap::new(), requests }
    }

    /// Answers the client and sends it what it has subscribed to, until one of the two ends the connection.
    pub(crate) async fn run(mut self, ending: Ending) {
        let Err(over) = self.converse(ending).await;
        // What was subscribed to is let go before the other side is waited for.
        self.subscriptions.clear();
        let Some(Close { code, reason }) = over else { return };
        tracing::info!(code, reason, "a WebSocket is closed");
        let Self { mut socket, clock, .. } = self;
        let part = async {
            let close = CloseFrame { code, reason: reason.into() };
            // Until the other side has closed too: a connection that is dropped before loses what is on its way.
            if socket.send(Frame::Close(Some(close))).await.is_ok() {
                while let Some(Ok(_)) = socket.recv().await {}
            }
            if matches!(code, close_code::SIZE | close_code::PROTOCOL) {
                // Nothing more can be read here, so the other side's close will not be seen.
                clock.sleep(LINGER).await;
            }
        };
        tokio::select! {
            () = part => {}
            () = clock.sleep(PART_LIMIT) => {}
        }
    }

    async fn converse(&mut self, ending: Ending) -> Result<std::convert::Infallible, Over> {
        let clock = self.clock.clone();
        let mut ending = pin!(ending.come());
        let mut tick = clock.sleep(PING_EVERY);
        let mut heard = true;
        loop {
            tokio::select! {
                reason = &mut ending => return Err(Some(match reason {
                    Reason::Stop => Close { code: close_code::AWAY, reason: "the server stops" },
                    Reason::Access => Close { code: close_code::POLICY, reason: "the sign-in has ended" },
                })),
                received = self.socket.recv() => {
                    heard = true;
                    self.receive(received).await?;
                }
                Some((subscription, delivery)) = self.subscriptions.next() => {
                    self.deliver(subscription, delivery).await?;
                }
                () = &mut tick => {
                    if !std::mem::take(&mut heard) {
                        return Err(Some(Close { code: close_code::POLICY, reason: "no answer to a ping" }));
                    }
                    tick = clock.sleep(PING_EVERY);
                    self.send(Frame::Ping(axum::body::Bytes::new())).await?;
                }
            }
        }
    }

    async fn receive(&mut self, received: Option<Result<Frame, axum::Error>>) -> Result<(), Over> {
        let request = match received {
            Some(Ok(Frame::Text(text))) => Request::read(&text),
            Some(Ok(Frame::Binary(_))) => Err(ApiError::malformed("expected a text message")),
            Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => return Ok(()),
            // The closing handshake is done once nothing more comes.
            Some(Ok(Frame::Close(_))) => return Ok(()),
            Some(Err(e)) => return Err(refusal(&e)),
            None => return Err(None),
        };
        let answer = match request {
            Ok(Request::Ping) => Message::Pong,
            Ok(Request::Subscribe(subscription, after)) => {
                match self.subscribe(subscription, after.as_deref()).await {
                    Ok(after) => Message::Subscribed { subscription, after },
                    Err(e) => {
                        Message::Error { subscription: Some(subscription), error: ApiError::from(e).body() }
                    }
                }
            }
            Ok(Request::Unsubscribe(subscription)) => match self.subscriptions.remove(&subscription) {
                Some(_) => Message::Unsubscribed { subscription },
                None => {
                    let e = Error::not_found("there is no such subscription");
                    Message::Error { subscription: Some(subscription), error: ApiError::from(e).body() }
                }
            },
            Err(e) => Message::Error { subscription: None, error: e.body() },
        };
        self.say(&answer).await
    }

    /// Subscribes, in the place of an earlier subscription to the same; gives the id after which events come.
    async fn subscribe(&mut self, subscription: Subscription, after: Option<&str>) -> Result<String> {
        self.requests.take(self.clock.now()).map_err(|wait| {
            let message = "expected at most 4 subscriptions a second, after 64 at once";
            Error::new(ErrorKind::RateLimited, message).with_retry_after(wait)
        })?;
        let more = !self.subscriptions.contains_key(&subscription);
        if more && self.subscriptions.len() >= MOST_SUBSCRIPTIONS {
            let why = format!("expected at most {MOST_SUBSCRIPTIONS} subscriptions of one connection");
            return Err(Error::new(ErrorKind::RateLimited, why));
        }
        let engine = self.app.engine();
        let (after, events) = match subscription {
            Subscription::All => {
                let after = after.map(|after| read_id(after, "after")).transpose()?;
                let feed = engine.feed(&self.caller, after).await?;
                let events = read_ahead(feed.events).map(|entry| match entry {
                    Ok(entry) => {
                        Delivery::Event { id: entry.position.to_string(), event: entry.event.clone() }
                    }
                    Err(e) => Delivery::Failed(e),
                });
                (feed.after.to_string(), events.boxed())
            }
            Subscription::Task(id) => {
                let after = after.map_or(Ok(0), |after| read_id::<u64>(after, "after"))?;
                let events = engine.events(&self.caller, id, after).await?;
                let events = read_ahead(events).map(|event| match event {
                    Ok(event) => Delivery::Event { id: event.sequence.to_string(), event },
                    Err(e) => Delivery::Failed(e),
                });
                (after.to_string(), events.boxed())
            }
        };
        let events = events.chain(stream::once(async { Delivery::End }));
        self.subscriptions.insert(subscription, events.boxed());
        Ok(after)
    }

    async fn deliver(&mut self, subscription: Subscription, delivery: Delivery) -> Result<(), Over> {
        let message = match delivery {
            Delivery::Event { id, event } => Message::Event { subscription, id, event: event_view(event) },
            Delivery::Failed(e) => {
                self.subscriptions.remove(&subscription);
                Message::Error { subscription: Some(subscription), error: ApiError::from(e).body() }
            }
            Delivery::End => Message::Unsubscribed { subscription },
        };
        self.say(&message).await
    }

    async fn say(&mut self, message: &Message) -> Result<(), Over> {
        let text = serde_json::to_string(message).map_err(|e| {
            tracing::error!(error = %e, "a message cannot be written");
            Some(Close { code: close_code::ERROR, reason: "something went wrong on our side" })
        })?;
        self.send(Frame::Text(text.into())).await
    }

    /// Sends, unless the client has not read what was sent before.
    async fn send(&mut self, frame: Frame) -> Result<(), Over> {
        tokio::select! {
            sent = self.socket.send(frame) => sent.map_err(|_| None),
            () = self.clock.sleep(SEND_LIMIT) => {
                Err(Some(Close { code: close_code::AGAIN, reason: "messages are read too slowly" }))
            }
        }
    }
}

/// What becomes of a connection on which something came that is no message.
fn refusal(e: &axum::Error) -> Over {
    use std::error::Error as _;
    let too_long = e.source().is_some_and(|e| e.to_string().contains("too long"));
    let (code, reason) = match too_long {
        true => (close_code::SIZE, "expected messages of at most 16384 bytes"),
        false => (close_code::PROTOCOL, "the protocol was broken"),
    };
    Some(Close { code, reason })
}
