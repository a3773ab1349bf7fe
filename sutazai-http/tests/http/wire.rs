//! WebSocket clients: one from a library that follows the protocol, and one that sends and reads only what a test
//! tells it to, byte by byte (RFC 6455).

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::{Server, User};

const RECEIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Client that follows the protocol.
pub(crate) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn open(user: &User<'_>) -> Self {
        let mut request = format!("ws://{}/api/v1/ws", user.server.address).into_client_request().unwrap();
        let bearer = format!("Bearer {}", user.token).parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        Self(connect_async(request).await.unwrap().0)
    }

    /// Opens a WebSocket with a query string and without credentials in headers; returns the status when it is
    /// rejected.
    pub(crate) async fn open_with(server: &Server, query: &str) -> Result<Self, u16> {
        match connect_async(format!("ws://{}/api/v1/ws{query}", server.address)).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(e) => panic!("{e}"),
        }
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.send(Message::text(message.to_string())).await;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// Receives the next message of the server.
    pub(crate) async fn hear(&mut self) -> Value {
        match self.next().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Sends a message and returns the next one.
    pub(crate) async fn ask(&mut self, message: &Value) -> Value {
        self.say(message).await;
        self.hear().await
    }

    /// Discards messages until the server closes the connection; returns the close code.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await {
                Some(Message::Close(Some(frame))) => {
                    // The library answers the close frame when it is polled again.
                    while let Some(Ok(_)) = self.0.next().await {}
                    return frame.code.into();
                }
                Some(Message::Text(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn next(&mut self) -> Option<Message> {
        loop {
            match tokio::time::timeout(RECEIVE_TIMEOUT, self.0.next()).await.unwrap() {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(message) => return Some(message.unwrap()),
                None => return None,
            }
        }
    }
}

/// Client that reads and responds only when it is told to.
pub(crate) struct Mute(TcpStream);

/// Frame of the server: opcode and payload.
#[derive(Debug, PartialEq)]
pub(crate) struct Frame(pub(crate) u8, pub(crate) Vec<u8>);

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;

impl Mute {
    pub(crate) async fn open(user: &User<'_>) -> Self {
        let mut stream = TcpStream::connect(user.server.address).await.unwrap();
        let request = format!(
            "GET /api/v1/ws HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            user.token
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        // The response that section 1.3 computes for this key.
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        Self(stream)
    }

    /// Sends a short text with an all-zero mask.
    pub(crate) async fn say(&mut self, message: &Value) {
        let text = message.to_string();
        let length = u8::try_from(text.len()).unwrap();
        assert!(length < 126);
        let frame = [&[0x80 | TEXT, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat();
        self.0.write_all(&frame).await.unwrap();
    }

    /// Reads the next frame; `None` at the end of the connection.
    pub(crate) async fn read(&mut self) -> Option<Frame> {
        tokio::time::timeout(RECEIVE_TIMEOUT, self.frame()).await.unwrap()
    }

    async fn frame(&mut self) -> Option<Frame> {
        let first = self.0.read_u8().await.ok()?;
        let length = match self.0.read_u8().await.ok()? {
            126 => u64::from(self.0.read_u16().await.ok()?),
            127 => self.0.read_u64().await.ok()?,
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame(first & 0x0f, payload))
    }
}

impl Frame {
    /// Returns the code of a close frame.
    pub(crate) fn code(&self) -> u16 {
        assert_eq!(self.0, CLOSE, "{self:?}");
        u16::from_be_bytes([self.1[0], self.1[1]])
    }
}
