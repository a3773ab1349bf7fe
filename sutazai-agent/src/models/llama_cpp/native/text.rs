//! Conversion of token bytes into text that may be passed on.
//!
//! A character or a stop text may be spread over several tokens, so bytes that may become either are held back.

/// Text of one answer on its way out.
#[derive(Debug, Default)]
pub(super) struct TextBuffer {
    /// Bytes that do not form a complete character yet.
    bytes: Vec<u8>,
    /// Text that may be the beginning of a stop text.
    held: String,
    stops: Vec<String>,
}

impl TextBuffer {
    /// Creates a buffer whose text ends before the first of `stops`.
    pub(super) fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { stops, ..Self::default() }
    }

    /// Appends the bytes of a token; returns the text that may be passed on, and whether a stop text was found.
    pub(super) fn push(&mut self, bytes: &[u8]) -> (String, bool) {
        self.bytes.extend_from_slice(bytes);
        let held = &mut self.held;
        let mut chunks = self.bytes.utf8_chunks().peekable();
        let mut rest = Vec::new();
        while let Some(chunk) = chunks.next() {
            held.push_str(chunk.valid());
            match chunk.invalid() {
                [] => {}
                // At the end, up to three bytes may be the beginning of a character.
                invalid if chunks.peek().is_none() && invalid.len() < 4 && is_incomplete_char(invalid) => {
                    rest = invalid.to_vec()
                }
                _ => held.push(char::REPLACEMENT_CHARACTER),
            }
        }
        self.bytes = rest;
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            let text = self.held[..at].to_owned();
            self.held.clear();
            return (text, true);
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// Returns the held text when no more tokens come. An incomplete character becomes the replacement character.
    pub(super) fn finish(&mut self) -> String {
        let mut text = std::mem::take(&mut self.held);
        if !std::mem::take(&mut self.bytes).is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        text
    }
}

/// Returns whether the bytes end in a prefix of a UTF-8 character that further bytes could complete.
fn is_incomplete_char(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|e| e.error_len().is_none())
}

/// Returns the number of bytes at the end of `text` that are a prefix of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let begins = |n: &usize| stop.is_char_boundary(*n) && text.ends_with(&stop[..*n]);
    (1..stop.len()).rev().find(begins).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stop_text_ends_the_text_in_any_chunks() {
        let mut buffer = TextBuffer::new(&["STOP".into(), "\n\n".into()]);
        assert_eq!(buffer.push(b"go on S"), ("go on ".into(), false));
        assert_eq!(buffer.push(b"TO"), (String::new(), false));
        assert_eq!(buffer.push(b"X ST"), ("STOX ".into(), false));
        assert_eq!(buffer.push(b"OP and more"), (String::new(), true));
        assert_eq!(buffer.finish(), "");
    }

    #[test]
    fn held_text_is_returned_at_the_end() {
        let mut buffer = TextBuffer::new(&["STOP".into()]);
        assert_eq!(buffer.push(b"a ST"), ("a ".into(), false));
        assert_eq!(buffer.push(b"\xf0\x9f"), (String::new(), false));
        assert_eq!(buffer.finish(), "ST\u{fffd}");
    }

    proptest! {
        #[test]
        fn text_is_complete_in_any_chunks(text in ".{0,40}", cuts in prop::collection::vec(1_usize..5, 0..40)) {
            let mut buffer = TextBuffer::new(&[]);
            let (mut rest, mut out) = (text.as_bytes(), String::new());
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                out.push_str(&buffer.push(head).0);
                rest = tail;
            }
            out.push_str(&buffer.push(rest).0);
            out.push_str(&buffer.finish());
            prop_assert_eq!(out, text);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut buffer = TextBuffer::new(&["ab".into()]);
            for byte in &bytes {
                buffer.push(std::slice::from_ref(byte));
                prop_assert!(buffer.bytes.len() < 4);
            }
        }
    }
}
