//! One WebSocket from its opening to its close.
//!
//! A client that reads slowly blocks nothing: the next event is taken from its subscription only after the previous
//! one has been sent. A task of its own reads each subscription (`reader`), so that none holds a database connection
//! while this connection waits for its client or for another subscription. A connection holds one message, plus one
//! for each subscription in addition to what its stream has read.

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
use crate::streaming::disconnect_signal::{DisconnectSignal, Reason};
use crate::streaming::message::{Message, Request, Subscription};
use crate::streaming::reader::read_ahead;
use crate::streaming::request_limit::RequestLimit;
use crate::streaming::resume::read_id;

/// Maximum size of a received message in bytes.
pub(crate) const MAX_MESSAGE: usize = 16 * 1_024;
/// Maximum number of subscriptions of one connection.
const MAX_SUBSCRIPTIONS: usize = 32;
/// Interval between pings. A client that has sent nothing from one ping to the next is considered disconnected.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Maximum time for sending one message; the client must read at least that fast.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time of the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for the client to read a close frame whose answer this side can no longer receive.
const LINGER_DURATION: Duration = Duration::from_secs(1);

/// WebSocket with the subscriptions of its client.
pub(crate) struct Connection {
    app: App,
    caller: Caller,
    clock: Arc<dyn Clock>,
    socket: WebSocket,
    subscriptions: StreamMap<Subscription, BoxStream<'static, Delivery>>,
    /// Limit of messages that query the database.
    requests: RequestLimit,
}

/// Close code and reason of a connection.
struct Close {
    code: u16,
    reason: &'static str,
}

/// Item of a subscription.
enum Delivery {
    Event { id: String, event: TaskEvent },
    Failed(Error),
    End,
}

/// End of a connection: with a close frame, or without one when the client is gone.
type Over = Option<Close>;

impl Connection {
    pub(crate) fn new(app: App, caller: Caller, socket: WebSocket) -> Self {
        let clock = app.engine().clock();
        let requests = RequestLimit::new(clock.clone());
        Self { app, caller, clock, socket, subscriptions: StreamMap::new(), requests }
    }

    /// Responds to messages and sends events until the client or the server ends the connection.
    pub(crate) async fn run(mut self, ending: DisconnectSignal) {
        let Err(over) = self.converse(ending).await;
        // Subscriptions are dropped before the closing handshake, which may take 5 seconds: their readers hold
        // resources.
        self.subscriptions.clear();
        let Some(Close { code, reason }) = over else { return };
        tracing::info!(code, reason, "WebSocket closed");
        let Self { mut socket, clock, .. } = self;
        let handshake = async {
            let close = CloseFrame { code, reason: reason.into() };
            // Waits for the client's close frame: dropping the connection earlier would lose data that is still being
            // sent.
            if socket.send(Frame::Close(Some(close))).await.is_ok() {
                while let Some(Ok(_)) = socket.recv().await {}
            }
            if matches!(code, close_code::SIZE | close_code::PROTOCOL) {
                // After these errors nothing more can be read, so the client's close frame will not be seen.
                clock.sleep(LINGER_DURATION).await;
            }
        };
        tokio::select! {
            () = handshake => {}
            () = clock.sleep(CLOSE_TIMEOUT) => {}
        }
    }

    async fn converse(&mut self, ending: DisconnectSignal) -> Result<std::convert::Infallible, Over> {
        let clock = self.clock.clone();
        let mut ending = pin!(ending.wait());
        let mut tick = clock.sleep(PING_INTERVAL);
        let mut received_since_ping = true;
        loop {
            tokio::select! {
                reason = &mut ending => return Err(Some(match reason {
                    Reason::Stop => Close { code: close_code::AWAY, reason: "the server stops" },
                    Reason::Access => Close { code: close_code::POLICY, reason: "the sign-in has ended" },
                })),
                received = self.socket.recv() => {
                    received_since_ping = true;
                    self.receive(received).await?;
                }
                Some((subscription, delivery)) = self.subscriptions.next() => {
                    self.deliver(subscription, delivery).await?;
                }
                () = &mut tick => {
                    if !std::mem::take(&mut received_since_ping) {
                        return Err(Some(Close { code: close_code::POLICY, reason: "no answer to a ping" }));
                    }
                    tick = clock.sleep(PING_INTERVAL);
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
            // The WebSocket library answers it; the stream ends when the closing handshake is complete.
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
                    let e = Error::not_found("the subscription does not exist");
                    Message::Error { subscription: Some(subscription), error: ApiError::from(e).body() }
                }
            },
            Err(e) => Message::Error { subscription: None, error: e.body() },
        };
        self.say(&answer).await
    }

    /// Subscribes, replacing an earlier subscription to the same events; returns the id after which events are sent.
    async fn subscribe(&mut self, subscription: Subscription, after: Option<&str>) -> Result<String> {
        self.requests.take().map_err(|wait| {
            let message = "expected at most 4 subscriptions a second, after 64 at once";
            Error::new(ErrorKind::RateLimited, message).with_retry_after(wait)
        })?;
        let more = !self.subscriptions.contains_key(&subscription);
        if more && self.subscriptions.len() >= MAX_SUBSCRIPTIONS {
            let why = format!("expected at most {MAX_SUBSCRIPTIONS} subscriptions of one connection");
            return Err(Error::new(ErrorKind::RateLimited, why));
        }
        let engine = self.app.engine();
        let (after, events) = match subscription {
            Subscription::All => {
                let after = after.map(|after| read_id(after, "after")).transpose()?;
                let log = engine.event_log(&self.caller, after).await?;
                let events = read_ahead(log.events).map(|entry| match entry {
                    Ok(entry) => {
                        Delivery::Event { id: entry.position.to_string(), event: entry.event.clone() }
                    }
                    Err(e) => Delivery::Failed(e),
                });
                (log.after.to_string(), events.boxed())
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
            tracing::error!(error = %e, "WebSocket message could not be serialized");
            Some(Close { code: close_code::ERROR, reason: "internal error" })
        })?;
        self.send(Frame::Text(text.into())).await
    }

    /// Sends a frame; closes the connection when the client has not read the previous frames within [`SEND_TIMEOUT`].
    async fn send(&mut self, frame: Frame) -> Result<(), Over> {
        tokio::select! {
            sent = self.socket.send(frame) => sent.map_err(|_| None),
            () = self.clock.sleep(SEND_TIMEOUT) => {
                Err(Some(Close { code: close_code::AGAIN, reason: "messages are read too slowly" }))
            }
        }
    }
}

/// Maps an error of the WebSocket library to the end of the connection.
fn refusal(e: &axum::Error) -> Over {
    use std::error::Error as _;
    let too_long = e.source().is_some_and(|e| e.to_string().contains("too long"));
    let (code, reason) = match too_long {
        true => (close_code::SIZE, "expected messages of at most 16384 bytes"),
        false => (close_code::PROTOCOL, "the protocol was broken"),
    };
    Some(Close { code, reason })
}
