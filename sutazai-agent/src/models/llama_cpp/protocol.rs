//! Protocol between a process that uses a model and the child process that runs it.
//!
//! Frames go over the child's standard input and output: the length of the body in bytes as a little-endian `u32`, then
//! the body, one JSON value. The parent sends one [`Command::Load`], waits for [`Reply::Ready`] or [`Reply::Refused`],
//! and then sends requests, each with a unique id. Every `Generate` is answered by `Text` frames and one `Done` or
//! `Failed`, every `Embed` by one `Vectors` or `Failed`.
//!
//! JSON keeps the frames readable in a trace. A binary encoding would save little: a frame costs some microseconds, a
//! token of the smallest model some milliseconds.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use sutazai_core::domain::{GenerateRequest, ModelUsage};
use sutazai_core::{Error, ErrorKind};

/// Maximum size of a frame's body in bytes; far above a conversation that fits a model's context.
pub(super) const MAX_FRAME_BYTES: usize = 64 * 1024 * 1024;

/// Identifier of a request, unique among those of one parent.
pub(super) type RequestId = u64;

/// Command from the parent to the child.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub(super) enum Command {
    /// Loads the model; the first frame, sent once.
    Load(Load),
    /// Generates a text that answers `request`.
    Generate { id: RequestId, request: GenerateRequest },
    /// Computes embeddings of texts.
    Embed { id: RequestId, texts: Vec<String> },
    /// Cancels a request whose answer is no longer wanted; it gets no reply.
    Cancel { id: RequestId },
}

/// Model to load, and its restrictions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Load {
    /// Path of the GGUF file.
    pub(super) path: PathBuf,
    /// CPU variants that crashed with this model on this machine.
    pub(super) excluded_variants: Vec<String>,
    /// Limit of the child's private memory in bytes.
    pub(super) memory_limit: Option<u64>,
}

/// Reply from the child to the parent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub(super) enum Reply {
    /// Reports the selected CPU variant before it computes anything: if the child crashes next, this variant is the
    /// suspect.
    Variant { name: Option<String> },
    /// Reports that the model is loaded and has passed its self-test.
    Ready(Loaded),
    /// Reports that the model cannot be loaded.
    Refused { error: WireError },
    /// Carries further text of an answer.
    Text { id: RequestId, text: String },
    /// Ends an answer successfully.
    Done { id: RequestId, usage: ModelUsage },
    /// Carries the embeddings of the texts, in their order.
    Vectors {
        id: RequestId,
        #[serde(deserialize_with = "finite_vectors")]
        vectors: Vec<Vec<f32>>,
        prompt_tokens: u32,
    },
    /// Ends a request with an error.
    Failed { id: RequestId, error: WireError },
    /// Reports that native code starts processing this request alone; `None` when it has finished that.
    Preparing { id: Option<RequestId> },
    /// Reports that the child is computing; sent at least every second while it does.
    Alive,
}

/// Properties of a loaded model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Loaded {
    /// Purpose of the model: generating text or computing embeddings.
    pub(super) purpose: Purpose,
    /// Number of answers that it generates concurrently.
    pub(super) slots: usize,
    /// Number of the model's parameters.
    pub(super) parameters: u64,
    /// Longest conversation of a request, or longest text, in tokens.
    pub(super) context_length: u32,
    /// Restriction that an operator should know about.
    pub(super) note: Option<String>,
}

/// Purpose that a model file was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Purpose {
    /// The model generates text.
    Write,
    /// The model computes a vector of a text.
    Embed,
}

/// Serializable form of an [`Error`], without its source chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct WireError {
    kind: ErrorKind,
    message: String,
    field: Option<String>,
    retry_after: Option<Duration>,
}

impl From<Error> for WireError {
    fn from(e: Error) -> Self {
        Self {
            kind: e.kind(),
            message: e.message().to_owned(),
            field: e.field().map(str::to_owned),
            retry_after: e.retry_after(),
        }
    }
}

impl From<WireError> for Error {
    fn from(e: WireError) -> Self {
        let mut error = Error::new(e.kind, e.message);
        if let Some(field) = e.field {
            error = error.with_field(field);
        }
        match e.retry_after {
            Some(after) => error.with_retry_after(after),
            None => error,
        }
    }
}

/// Writes one frame with a single call, so that frames of several threads do not interleave.
///
/// # Errors
/// Any error of the pipe; `InvalidInput` for a body over [`MAX_FRAME_BYTES`].
pub(super) fn write_frame(mut to: impl Write, frame: &impl Serialize) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, frame)?;
    let length = bytes.len() - 4;
    if length > MAX_FRAME_BYTES {
        let message = format!("expected a frame of at most {MAX_FRAME_BYTES} bytes, got {length}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    bytes[..4].copy_from_slice(&(length as u32).to_le_bytes());
    to.write_all(&bytes)?;
    to.flush()
}

/// Reads one frame; `None` at the end of the stream.
///
/// # Errors
/// Any error of the pipe; `InvalidData` for an invalid frame; `UnexpectedEof` for a truncated one.
pub(super) fn read_frame<T: DeserializeOwned>(mut from: impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    let mut filled = 0;
    while filled < length.len() {
        match from.read(&mut length[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_FRAME_BYTES {
        let message = format!("expected a frame of at most {MAX_FRAME_BYTES} bytes, got {length}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body)?))
}

/// Reads vectors, and rejects numbers that are too large for an `f32`: they would become infinite, which JSON lacks.
fn finite_vectors<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<f32>>, D::Error> {
    let vectors = Vec::<Vec<f32>>::deserialize(from)?;
    if vectors.iter().flatten().all(|number| number.is_finite()) {
        Ok(vectors)
    } else {
        Err(D::Error::custom("expected numbers of 32 bits in the vectors"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_round_trip() {
        let mut pipe = Vec::new();
        let error =
            Error::invalid("constraint", "expected a schema").with_retry_after(Duration::from_millis(1_500));
        write_frame(&mut pipe, &Reply::Failed { id: 7, error: error.into() }).unwrap();
        write_frame(&mut pipe, &Reply::Vectors { id: 8, vectors: vec![vec![0.1, -1e-7]], prompt_tokens: 3 })
            .unwrap();
        let mut rest = pipe.as_slice();
        let Some(Reply::Failed { id: 7, error }) = read_frame(&mut rest).unwrap() else { panic!() };
        let error = Error::from(error);
        assert_eq!((error.field(), error.kind()), (Some("constraint"), ErrorKind::InvalidInput));
        assert_eq!(error.retry_after(), Some(Duration::from_millis(1_500)));
        let Some(Reply::Vectors { vectors, .. }) = read_frame(&mut rest).unwrap() else { panic!() };
        assert_eq!(vectors, [[0.1, -1e-7]]);
        assert!(read_frame::<Reply>(&mut rest).unwrap().is_none());
    }

    #[test]
    fn truncated_or_oversized_frames_are_errors() {
        let mut pipe = Vec::new();
        write_frame(&mut pipe, &Reply::Alive).unwrap();
        for cut in 1..pipe.len() {
            let e = read_frame::<Reply>(&pipe[..cut]).unwrap_err();
            assert_eq!(e.kind(), io::ErrorKind::UnexpectedEof, "{cut}");
        }
        let e = read_frame::<Reply>(&u32::MAX.to_le_bytes()[..]).unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn vectors_are_finite() {
        for (number, is_read) in [("3.4e38", true), ("1e77", false), ("-1e77", false)] {
            let body =
                format!(r#"{{"reply":"vectors","id":3,"vectors":[[0.5],[{number}]],"prompt_tokens":3}}"#);
            let frame = [&(body.len() as u32).to_le_bytes()[..], body.as_bytes()].concat();
            assert_eq!(read_frame::<Reply>(frame.as_slice()).is_ok(), is_read, "{number}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut rest = bytes.as_slice();
            while let Ok(Some(_)) = read_frame::<Reply>(&mut rest) {}
        }
    }
}
