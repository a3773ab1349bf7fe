//! Faults that a test server can inject into its answers.

use std::io::{Error, ErrorKind};
use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use serde_json::json;
use sutazai_core::ports::{Clock, SystemClock};

/// Fault of the next answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Responds with this status and body instead of an answer, with this `Retry-After`.
    Refuse(u16, &'static str, Option<&'static str>),
    /// Sends nothing at all, not even a response head.
    Silence,
    /// Sends this many lines, then an error line, then the end.
    ErrorLine(usize, &'static str),
    /// Sends this many lines, then these bytes.
    Garbage(usize, &'static str),
    /// Sends this many lines, then stays silent.
    Stall(usize),
    /// Sends this many lines and half of another, then cuts the connection.
    Cut(usize),
    /// Sends this many lines and half of another, then ends the body properly.
    Half(usize),
    /// Sends the whole answer in pieces of this many bytes.
    Shred(usize),
    /// Makes the model violate the schema with this text.
    Says(&'static str),
}

/// End of a response body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ending {
    /// The body ends properly.
    Close,
    /// The connection is cut.
    Cut,
    /// The body never ends.
    Silence,
}

/// Builds a response with a status, a body and an optional `Retry-After`.
pub(crate) fn refusal(status: u16, body: &'static str, after: Option<&'static str>) -> Response {
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    if let Some(after) = after {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(after));
    }
    response
}

/// Streams these lines at the pace of a fast model, with the fault. The guard lives as long as the body is read.
pub(crate) fn body(lines: Vec<Vec<u8>>, fault: Option<Fault>, guard: impl Send + 'static) -> Body {
    let mut pieces = lines;
    let mut ending = Ending::Close;
    match fault {
        Some(Fault::ErrorLine(at, error)) => {
            pieces.truncate(at);
            pieces.push(format!("{}\n", json!({ "error": error })).into_bytes());
        }
        Some(Fault::Garbage(at, garbage)) => {
            pieces.truncate(at);
            pieces.push(garbage.as_bytes().to_vec());
        }
        Some(Fault::Stall(at)) => {
            pieces.truncate(at);
            ending = Ending::Silence;
        }
        Some(Fault::Cut(at)) => {
            halve(&mut pieces, at);
            ending = Ending::Cut;
        }
        Some(Fault::Half(at)) => halve(&mut pieces, at),
        Some(Fault::Shred(size)) => {
            let pieces = pieces.concat().chunks(size).map(<[u8]>::to_vec).collect::<Vec<_>>();
            return ended(stream::iter(pieces), ending, guard);
        }
        Some(Fault::Refuse(..) | Fault::Silence | Fault::Says(_)) | None => {}
    }
    let written = stream::iter(pieces).then(|piece| async {
        SystemClock.sleep(Duration::from_millis(1)).await;
        piece
    });
    ended(written, ending, guard)
}

/// Streams these pieces, then ends in this way.
pub(crate) fn ended(
    pieces: impl Stream<Item = Vec<u8>> + Send + 'static,
    ending: Ending,
    guard: impl Send + 'static,
) -> Body {
    let end = stream::once(async move {
        let _guard = guard;
        match ending {
            Ending::Close => None,
            Ending::Cut => Some(Err(Error::from(ErrorKind::ConnectionAborted))),
            Ending::Silence => std::future::pending().await,
        }
    });
    Body::from_stream(pieces.map(Ok).chain(end.filter_map(std::future::ready)))
}

/// Keeps the first `at` pieces and half of the next.
fn halve(pieces: &mut Vec<Vec<u8>>, at: usize) {
    pieces.truncate(at + 1);
    let last = pieces.last_mut().unwrap();
    last.truncate(last.len() / 2);
}
