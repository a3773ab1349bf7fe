//! Decoder of streams with one JSON document a line (`application/x-ndjson`), as Ollama sends them.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use sutazai_core::Result;

use super::decoder::Decoder;
use super::json::read_json;
use super::lines::Lines;

/// Decoder that parses each line as a `T` and skips blank lines.
#[derive(Debug)]
pub(in crate::models) struct NdjsonDecoder<T> {
    lines: Lines,
    item: PhantomData<fn() -> T>,
}

impl<T> Default for NdjsonDecoder<T> {
    fn default() -> Self {
        Self { lines: Lines::new(), item: PhantomData }
    }
}

impl<T: DeserializeOwned + Send + 'static> Decoder for NdjsonDecoder<T> {
    type Item = T;

    fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes);
    }

    fn next(&mut self) -> Result<Option<T>> {
        while let Some(line) = self.lines.next()? {
            if !line.trim_ascii().is_empty() {
                return read_json(line, "the server sent a line that violates its protocol").map(Some);
            }
        }
        Ok(None)
    }

    fn end(&mut self) -> Result<Option<T>> {
        let rest = self.lines.rest().trim_ascii();
        if rest.is_empty() {
            return Ok(None);
        }
        // The last line feed may be missing, but the last line must be complete.
        read_json(rest, "the connection was closed in the middle of a line").map(Some)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use sutazai_core::ErrorKind;

    use super::super::decoder::decode_pieces;
    use super::super::lines::LINE_LIMIT;
    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<Value>> {
        decode_pieces(NdjsonDecoder::default(), pieces)
    }

    #[test]
    fn last_line_needs_no_line_feed_but_must_be_complete() {
        assert_eq!(
            read(&[b"{\"a\":1}\r\n\n{\"a\"", b":2}"]).unwrap(),
            [json!({ "a": 1 }), json!({ "a": 2 })]
        );
        assert_eq!(read(&[b"\xef", b"\xbb\xbf{\"a\":1}"]).unwrap(), [json!({ "a": 1 })], "a byte order mark");
        for broken in [&b"{\"a\":1}\n{\"a\":"[..], b"{\"a\":1}\n{\"a\":}\n", b"\xff\xfe\n"] {
            assert_eq!(read(&[broken]).unwrap_err().kind(), ErrorKind::Unavailable);
        }
    }

    proptest! {
        #[test]
        fn any_chunks_decode_alike(
            texts in prop::collection::vec(".{0,20}", 0..8),
            cuts in prop::collection::vec(0_usize..400, 0..20),
        ) {
            let items: Vec<Value> = texts.iter().map(|text| json!({ "text": text })).collect();
            let body: String = items.iter().map(|item| format!("{item}\n")).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).chain([0, body.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &body.as_bytes()[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&pieces).unwrap(), items);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
            let mut decoder = NdjsonDecoder::<Value>::default();
            for piece in &pieces {
                decoder.push(piece);
                while let Ok(Some(_)) = decoder.next() {}
                prop_assert!(decoder.lines.rest().len() <= LINE_LIMIT);
            }
            if let Err(e) = decoder.end() {
                prop_assert_eq!(e.kind(), ErrorKind::Unavailable);
            }
        }
    }
}
