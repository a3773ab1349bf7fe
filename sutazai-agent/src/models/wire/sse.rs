//! Decoder of server-sent events (`text/event-stream`, WHATWG HTML section 9.2), as OpenAI-compatible servers send
//! them.
//!
//! Only the data is decoded: names, ids and comments, which servers send to keep a connection alive, are ignored. In
//! deviation from the standard, an event without its closing blank line counts at the end of the stream, so that a
//! missing line feed loses no text.

use sutazai_core::{Error, Result};

use super::decoder::Decoder;
use super::lines::{LINE_LIMIT, Lines};

/// Decoder that returns the data of each event.
#[derive(Debug)]
pub(in crate::models) struct SseDecoder {
    lines: Lines,
    data: Option<String>,
}

impl Default for SseDecoder {
    fn default() -> Self {
        Self { lines: Lines::of_events(), data: None }
    }
}

impl Decoder for SseDecoder {
    type Item = String;

    fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes);
    }

    fn next(&mut self) -> Result<Option<String>> {
        while let Some(line) = self.lines.next()? {
            if !line.is_empty() {
                read_line(line, &mut self.data)?;
            } else if let Some(data) = self.data.take() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    fn end(&mut self) -> Result<Option<String>> {
        read_line(self.lines.rest(), &mut self.data)?;
        Ok(self.data.take())
    }
}

/// Appends the data of one line, if it has any, to the current event.
fn read_line(line: &[u8], data: &mut Option<String>) -> Result<()> {
    let Some(value) = line.strip_prefix(b"data:").or((line == b"data").then_some(b"")) else {
        return Ok(());
    };
    // Invalid UTF-8 becomes replacement characters, as the standard requires.
    let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
    match data {
        Some(data) if data.len() + value.len() > LINE_LIMIT => {
            Err(Error::unavailable(format!("the server sent an event of more than {LINE_LIMIT} bytes")))
        }
        Some(data) => {
            data.push('\n');
            data.push_str(&value);
            Ok(())
        }
        None => {
            *data = Some(value.into_owned());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::decoder::decode_pieces;
    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<String>> {
        decode_pieces(SseDecoder::default(), pieces)
    }

    #[test]
    fn data_is_decoded_and_other_fields_are_ignored() {
        let body = b": alive\n\nevent: x\ndata: one\ndata:two\nid: 7\n\ndata\r\n\r\nretry: 9\n\ndata: a: b";
        assert_eq!(read(&[body]).unwrap(), ["one\ntwo", "", "a: b"]);
        assert_eq!(read(&[b"data: \xff\n\n: \xff\n\n"]).unwrap(), ["\u{fffd}"]);
    }

    #[test]
    fn every_stream_syntax_is_decoded() {
        for body in [
            &b"\xef\xbb\xbfdata: one\n\ndata: two\n\n"[..],
            b"data: one\r\rdata: two\r\r",
            b"data: one\r\n\r\ndata: two\r\n\r\n",
            b"data: one\n\r\n\rdata:two\r\n\n",
            b"data: one\n\ndata: two\n",
            b"data: one\n\ndata: two",
        ] {
            for cut in 1..=body.len() {
                assert_eq!(read(&body.chunks(cut).collect::<Vec<_>>()).unwrap(), ["one", "two"], "{body:?}");
            }
        }
    }

    #[test]
    fn overlong_event_is_rejected() {
        let line = format!("data: {}\n", "x".repeat(100_000));
        let mut decoder = SseDecoder::default();
        let refused = (0..20).any(|_| {
            decoder.push(line.as_bytes());
            decoder.next().is_err()
        });
        assert!(refused);
    }

    proptest! {
        #[test]
        fn any_chunks_decode_alike(
            texts in prop::collection::vec("[^\r\n]{0,20}", 0..8),
            end in "\n|\r|\r\n",
            cuts in prop::collection::vec(0_usize..400, 0..20),
        ) {
            let body: String = texts.iter().map(|text| format!("data: {text}{end}{end}")).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).chain([0, body.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &body.as_bytes()[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&pieces).unwrap(), texts);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
            let mut decoder = SseDecoder::default();
            for piece in &pieces {
                decoder.push(piece);
                while let Ok(Some(_)) = decoder.next() {}
            }
            prop_assert!(decoder.lines.rest().len() <= LINE_LIMIT);
        }
    }
}
