//! Server-sent events (HTML, 9.2) of a response.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use reqwest::Response;
use sutazai::external::futures::StreamExt;
use sutazai::external::futures::stream::BoxStream;
use sutazai::{Error, Result};
use tokio::time::{Instant, timeout_at};

use super::errors::broken_off;

/// Maximum silence of a stream: the server sends a comment every 15 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// Maximum size of one event in bytes.
const MAX_EVENT_BYTES: usize = 64 * 1024 * 1024;

/// One event of a stream. `data` is empty if the server only told the id.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SentEvent {
    pub(super) id: Option<String>,
    pub(super) name: String,
    pub(super) data: String,
}

/// Parser of a stream of events, which is fed with its bytes.
#[derive(Debug, Default)]
struct Parser {
    /// Begin of a line whose end has not arrived.
    line: Vec<u8>,
    event: SentEvent,
    events: VecDeque<SentEvent>,
}

impl Parser {
    /// Reads more bytes of the stream.
    ///
    /// # Errors
    /// `Unavailable` for an event of more than [`MAX_EVENT_BYTES`].
    fn feed(&mut self, mut bytes: &[u8]) -> Result<()> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            self.read(&String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line)));
        }
        self.line.extend_from_slice(bytes);
        if self.line.len() + self.event.data.len() > MAX_EVENT_BYTES {
            let message = format!("expected events of at most {MAX_EVENT_BYTES} bytes from the server");
            return Err(Error::unavailable(message));
        }
        Ok(())
    }

    fn read(&mut self, line: &str) {
        if line.is_empty() {
            let mut event = std::mem::take(&mut self.event);
            // Each line of data ends with a line feed, and the last one is not part of it.
            event.data.pop();
            if event.id.is_some() || !event.data.is_empty() {
                self.events.push_back(event);
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.event.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                self.event.data.push_str(value);
                self.event.data.push('\n');
            }
            // A comment has an empty name; other fields have no meaning here.
            _ => {}
        }
    }
}

/// Reader of the events of a response. Dropping it closes the connection, which ends the work of the server behind it.
pub(super) struct SseReader {
    body: BoxStream<'static, Result<Vec<u8>>>,
    parser: Parser,
    /// Time at which something arrived last.
    heard_at: Instant,
}

impl fmt::Debug for SseReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseReader").field("parser", &self.parser).finish_non_exhaustive()
    }
}

impl SseReader {
    /// Creates a reader of the body of this response.
    pub(super) fn new(response: Response) -> Self {
        let body = response.bytes_stream();
        let body = body.map(|piece| piece.map(Into::into).map_err(broken_off)).boxed();
        Self { body, parser: Parser::default(), heard_at: Instant::now() }
    }

    /// Waits for the next event; `None` when the server has ended the stream. A wait that is dropped loses no event.
    ///
    /// # Errors
    /// `Unavailable` if the connection breaks, and `Timeout` if nothing arrives for [`IDLE_TIMEOUT`].
    pub(super) async fn next(&mut self) -> Result<Option<SentEvent>> {
        loop {
            if let Some(event) = self.parser.events.pop_front() {
                return Ok(Some(event));
            }
            let silent =
                |_| Error::timeout(format!("the server sent no event and no sign for {IDLE_TIMEOUT:?}"));
            let piece = timeout_at(self.heard_at + IDLE_TIMEOUT, self.body.next()).await.map_err(silent)?;
            let Some(piece) = piece else { return Ok(None) };
            self.heard_at = Instant::now();
            self.parser.feed(&piece?)?;
        }
    }

    /// Returns the next event that has arrived already.
    pub(super) fn arrived(&mut self) -> Option<SentEvent> {
        self.parser.events.pop_front()
    }
}
