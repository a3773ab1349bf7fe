//! Trace context: the position in a distributed trace that travels with a request, a task row and an agent.
//!
//! The format is that of W3C Trace Context (<https://www.w3.org/TR/trace-context/>), accompanied by the caller's own
//! request id if there is one, so that log lines of the work still carry the id that the caller chose.

use std::fmt;
use std::str::FromStr;

use rand::random;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Maximum length of a request id accepted from a caller, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 64;

/// A position in a trace: the trace id and the current span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TraceContext {
    trace_id: u128,
    /// Id of the current span; 0 before the first span starts.
    span_id: u64,
    sampled: bool,
    request_id: Option<String>,
}

impl TraceContext {
    /// Starts a new trace, before its first span.
    pub fn generate() -> Self {
        Self::beginning(random(), None)
    }

    /// Starts the trace of a request with the caller's own id, if that consists of 1 to 64 letters, digits, `-`, `_`
    /// and `.`. An id of 32 hexadecimal digits is used as the trace id; from any other id the trace id is derived by
    /// SHA-256, so that equal ids give equal traces.
    pub fn of_request(request_id: &str) -> Option<Self> {
        if !is_request_id(request_id) {
            return None;
        }
        let name = Some(request_id.to_owned());
        match hex(request_id, 32) {
            Some(trace_id) if trace_id != 0 => Some(Self::beginning(trace_id, name)),
            _ => {
                let digest = Sha256::digest(request_id.as_bytes());
                let id = digest.iter().take(16).fold(0, |id: u128, byte| (id << 8) | u128::from(*byte));
                Some(Self::beginning(id.max(1), name))
            }
        }
    }

    /// Parses a `traceparent` header of version 00, or the same fields of a later version; `None` if it is invalid.
    pub fn from_traceparent(header: &str) -> Option<Self> {
        let mut fields = header.trim().split('-');
        let version = hex(fields.next()?, 2)?;
        let trace_id = hex(fields.next()?, 32)?;
        let span_id = hex(fields.next()?, 16)? as u64;
        let flags = hex(fields.next()?, 2)?;
        let readable = version < 0xff && (version > 0 || fields.next().is_none());
        (readable && trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            sampled: flags & 1 == 1,
            request_id: None,
        })
    }

    /// Returns the position of a span in this trace, as its tracer reports it.
    #[must_use]
    pub fn at(&self, trace_id: u128, span_id: u64, sampled: bool) -> Self {
        Self { trace_id, span_id, sampled, request_id: self.request_id.clone() }
    }

    /// Returns the id for responses and log lines: the caller's request id if there is one, else the trace id.
    pub fn id(&self) -> String {
        self.request_id.clone().unwrap_or_else(|| format!("{:032x}", self.trace_id))
    }

    /// Returns the id of the trace; never 0.
    pub fn trace_id(&self) -> u128 {
        self.trace_id
    }

    /// Returns the id of the parent span for further work; 0 if none has started.
    pub fn span_id(&self) -> u64 {
        self.span_id
    }

    /// Returns whether the spans of this trace are recorded.
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// Formats the `traceparent` header of an outgoing request that continues the trace. If no span has started, nobody
    /// records any; the specification requires a parent id all the same, so a random one is used.
    pub fn to_traceparent(&self) -> String {
        let span_id = if self.span_id == 0 { random::<u64>().max(1) } else { self.span_id };
        format!("00-{:032x}-{span_id:016x}-{:02x}", self.trace_id, u8::from(self.sampled))
    }

    fn beginning(trace_id: u128, request_id: Option<String>) -> Self {
        let trace_id = if trace_id == 0 { random::<u128>().max(1) } else { trace_id };
        Self { trace_id, span_id: 0, sampled: true, request_id }
    }
}

/// Formats the fields of `traceparent`, followed by a space and the request id if there is one.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))?;
        self.request_id.as_ref().map_or(Ok(()), |id| write!(f, " {id}"))
    }
}

impl FromStr for TraceContext {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let (fields, request_id) = match text.split_once(' ') {
                Some((fields, id)) => (fields, Some(id.to_owned()).filter(|id| is_request_id(id))),
                None => (text, None),
            };
            let mut fields = fields.strip_prefix("00-")?.split('-');
            let trace_id = hex(fields.next()?, 32).filter(|id| *id != 0)?;
            let span_id = hex(fields.next()?, 16)? as u64;
            let sampled = hex(fields.next()?, 2)? & 1 == 1;
            fields.next().is_none().then_some(Self { trace_id, span_id, sampled, request_id })
        };
        read().ok_or_else(|| {
            Error::invalid("trace", "expected 00-<32 digits>-<16 digits>-<2 digits>, hexadecimal")
        })
    }
}

impl From<TraceContext> for String {
    fn from(context: TraceContext) -> Self {
        context.to_string()
    }
}

impl TryFrom<String> for TraceContext {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

/// Parses exactly `digits` lower-case hexadecimal digits, as the specification requires.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let fits = text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

fn is_request_id(id: &str) -> bool {
    (1..=MAX_REQUEST_ID_BYTES).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn traceparent_round_trips() {
        let context = TraceContext::from_traceparent(PARENT).unwrap();
        assert_eq!(context.id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!((context.span_id(), context.is_sampled()), (0xb7ad_6b71_6920_3331, true));
        assert_eq!(context.to_string(), PARENT);
        let later = format!("01-{}-more", &PARENT[3..]);
        assert_eq!(TraceContext::from_traceparent(&later), Some(context));
    }

    #[test]
    fn invalid_traceparent_is_ignored() {
        let zeros = "0".repeat(32);
        for bad in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            &format!("00-{zeros}-b7ad6b7169203331-01"),
        ] {
            assert_eq!(TraceContext::from_traceparent(bad), None, "{bad}");
        }
    }

    #[test]
    fn request_id_determines_the_trace_and_is_kept() {
        let named = TraceContext::of_request("order-17").unwrap();
        assert_eq!(named.id(), "order-17");
        assert_eq!(named.trace_id(), TraceContext::of_request("order-17").unwrap().trace_id());
        assert_ne!(named.trace_id(), TraceContext::of_request("order-18").unwrap().trace_id());
        let at = named.at(named.trace_id(), 7, false);
        assert_eq!(at.to_string().parse::<TraceContext>().unwrap(), at);
        assert_eq!(at.id(), "order-17");
        let digits = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(format!("{:032x}", TraceContext::of_request(digits).unwrap().trace_id()), digits);
        for bad in ["", "a b", "a\"b", &"x".repeat(65)] {
            assert_eq!(TraceContext::of_request(bad), None, "{bad}");
        }
    }

    #[test]
    fn invalid_trace_context_is_refused() {
        for bad in ["", "00-1-2-3", "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"] {
            assert_eq!(bad.parse::<TraceContext>().unwrap_err().field(), Some("trace"), "{bad}");
        }
    }
}
