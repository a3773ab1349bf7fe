//! What can go wrong on the way from a server.

use std::io::{Error, ErrorKind};
use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt, stream};
use serde_json::json;
use sutazai_core::ports::{Clock, SystemClock};

/// What goes wrong with the next answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status and this body instead of an answer, with this `Retry-After`.
    Refuse(u16, &'static str, Option<&'static str>),
    /// Nothing at all, not even a head.
    Silence,
    /// So many lines, then an error in a line, then the end.
    ErrorLine(usize, &'static str),
    /// So many lines, then these bytes.
    Garbage(usize, &'static str),
    /// So many lines, then silence.
    Stall(usize),
    /// So many lines and half of another, then the connection is cut.
    Cut(usize),
    /// So many lines and half of another, then a proper end of the body.
    Half(usize),
    /// The whole answer, in pieces of so many bytes.
    Shred(usize),
    /// The model strays from the schema and says this.
    Says(&'static str),
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ending {
    /// As it should.
    Close,
    /// The connection is cut.
    Cut,
    /// It does not end.
    Silence,
}

/// An answer that is none.
pub(crate) fn refusal(status: u16, body: &'static str, after: Option<&'static str>) -> Response {
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    if let Some(after) = after {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(after));
    }
    response
}

/// These lines at the pace of a fast model, with what goes wrong in them. Keeps the guard as long as anybody reads.
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

/// These pieces, then this end.
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

/// Keeps so many pieces and half of the next.
fn halve(pieces: &mut Vec<Vec<u8>>, at: usize) {
    pieces.truncate(at + 1);
    let last = pieces.last_mut().unwrap();
    last.truncate(last.len() / 2);
}
