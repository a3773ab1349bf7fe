//! Server-sent events, as OpenAI-compatible servers stream (`text/event-stream`, WHATWG HTML section 9.2).
//!
//! Only the data is of interest: names, ids and comments (which servers send to keep a connection alive) are passed
//! over. Lines end with a line feed or a carriage return and one; no such server uses a lone carriage return.

use sutazai_core::{Error, Result};

use super::decoder::Decoder;
use super::lines::{LINE_LIMIT, Lines};

/// Gives the data of each event.
#[derive(Debug, Default)]
pub(in crate::models) struct SseDecoder {
    lines: Lines,
    data: Option<String>,
}

impl Decoder for SseDecoder {
    type Item = String;

    fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes);
    }

    fn next(&mut self) -> Result<Option<String>> {
        while let Some(line) = self.lines.next()? {
            if line.is_empty() {
                if let Some(data) = self.data.take() {
                    return Ok(Some(data));
                }
                continue;
            }
            let Some(value) = line.strip_prefix(b"data:").or((line == b"data").then_some(b"")) else {
                continue;
            };
            let value = value.strip_prefix(b" ").unwrap_or(value);
            let value = std::str::from_utf8(value).map_err(|e| {
                Error::unavailable("the server sent an event that is not UTF-8").with_source(e)
            })?;
            match &mut self.data {
                Some(data) if data.len() + value.len() > LINE_LIMIT => {
                    return Err(Error::unavailable(format!(
                        "the server sent an event of more than {LINE_LIMIT} bytes"
                    )));
                }
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        Ok(None)
    }

    /// An event that no blank line ends does not count, as the standard has it.
    fn end(&mut self) -> Result<Option<String>> {
        Ok(None)
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
    fn data_is_read_and_the_rest_passed_over() {
        let body = b": alive\n\nevent: x\ndata: one\ndata:two\nid: 7\n\ndata\r\n\r\ndata: cut";
        assert_eq!(read(&[body]).unwrap(), ["one\ntwo", ""]);
        read(&[b"data: \xff\n\n"]).unwrap_err();
    }

    #[test]
    fn an_event_without_end_is_refused() {
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
        fn it_does_not_matter_where_the_body_is_cut(
            texts in prop::collection::vec("[^\r\n]{0,20}", 0..8),
            cuts in prop::collection::vec(0_usize..400, 0..20),
        ) {
            let body: String = texts.iter().map(|text| format!("data: {text}\n\n")).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).chain([0, body.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &body.as_bytes()[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&pieces).unwrap(), texts);
        }

        #[test]
        fn arbitrary_bytes_do_no_harm(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
            let mut decoder = SseDecoder::default();
            for piece in &pieces {
                decoder.push(piece);
                while let Ok(Some(_)) = decoder.next() {}
            }
            prop_assert!(decoder.lines.rest().len() <= LINE_LIMIT);
        }
    }
}
