//! Splitter of a byte stream into lines of bounded length.

use sutazai_core::{Error, Result};

/// Maximum length of a line in bytes: far above what a server sends for one token, and harmless to hold in memory.
pub(in crate::models) const LINE_LIMIT: usize = 1024 * 1024;

/// Byte order mark in UTF-8; at the start of a stream it belongs to no line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Buffer of received bytes that have not been returned as lines yet.
#[derive(Debug)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Number of bytes at the start of the buffer that have been returned.
    taken: usize,
    /// Number of bytes at the start of the buffer that have been searched for a line end.
    seen: usize,
    /// Makes a carriage return without a line feed end a line too.
    carriage_returns: bool,
    /// Indicates that the last line ended with a carriage return, so that a line feed right after it belongs to the
    /// same line end.
    after_return: bool,
    /// Indicates that no line has been returned yet, so that a byte order mark may follow.
    at_start: bool,
}

impl Lines {
    /// Creates a splitter for lines that end with LF or CRLF.
    pub(super) fn new() -> Self {
        Self {
            buffer: Vec::new(),
            taken: 0,
            seen: 0,
            carriage_returns: false,
            after_return: false,
            at_start: true,
        }
    }

    #[cfg(any(feature = "openai", test))]
    /// Creates a splitter for event streams, whose lines may also end with CR alone.
    pub(super) fn of_events() -> Self {
        Self { carriage_returns: true, ..Self::new() }
    }

    /// Appends bytes to the buffer.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.seen -= self.taken;
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next complete line without its line end; `None` until further bytes are pushed.
    ///
    /// # Errors
    /// `Unavailable` when a line exceeds [`LINE_LIMIT`].
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>> {
        self.skip();
        let ends_line = |byte: &u8| *byte == b'\n' || (self.carriage_returns && *byte == b'\r');
        let found = self.buffer[self.seen..].iter().position(ends_line).map(|at| self.seen + at);
        let end = found.unwrap_or(self.buffer.len());
        if end - self.taken > LINE_LIMIT {
            return Err(Error::unavailable(format!(
                "the server sent a line of more than {LINE_LIMIT} bytes"
            )));
        }
        let Some(end) = found else {
            self.seen = end;
            return Ok(None);
        };
        let line = &self.buffer[self.taken..end];
        (self.taken, self.seen) = (end + 1, end + 1);
        self.after_return = self.buffer[end] == b'\r';
        self.at_start = false;
        Ok(Some(if self.carriage_returns { line } else { line.strip_suffix(b"\r").unwrap_or(line) }))
    }

    /// Skips bytes that belong to no line: a byte order mark at the start, and the line feed after a carriage return.
    fn skip(&mut self) {
        let rest = &self.buffer[self.taken..];
        let is_mark = self.at_start && rest.starts_with(BYTE_ORDER_MARK);
        let skipped = match rest {
            [b'\n', ..] if self.after_return => 1,
            _ if is_mark => BYTE_ORDER_MARK.len(),
            _ => 0,
        };
        // There is at most one mark, and the bytes received so far may be only a part of it.
        self.at_start = self.at_start && !is_mark && BYTE_ORDER_MARK.starts_with(rest);
        if !rest.is_empty() {
            self.after_return = false;
        }
        self.taken += skipped;
        self.seen = self.seen.max(self.taken);
    }

    /// Returns the bytes after the last line end.
    pub(super) fn rest(&self) -> &[u8] {
        let rest = &self.buffer[self.taken..];
        if self.at_start { rest.strip_prefix(BYTE_ORDER_MARK).unwrap_or(rest) } else { rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_complete_and_in_order() {
        let mut lines = Lines::new();
        lines.push(b"one\r\ntw");
        assert_eq!(lines.next().unwrap(), Some(&b"one"[..]));
        assert_eq!(lines.next().unwrap(), None);
        lines.push(b"o\n\nth");
        assert_eq!(lines.next().unwrap(), Some(&b"two"[..]));
        assert_eq!(lines.next().unwrap(), Some(&b""[..]));
        assert_eq!(lines.next().unwrap(), None);
        assert_eq!(lines.rest(), b"th");
    }

    #[test]
    fn event_line_ends_count_once_in_any_chunks() {
        let body = b"\xef\xbb\xbfa\rb\r\nc\n\r\r\n\xef\xbb\xbfd\n\re";
        for cut in 1..=body.len() {
            let (mut lines, mut read) = (Lines::of_events(), Vec::new());
            for piece in body.chunks(cut) {
                lines.push(piece);
                while let Some(line) = lines.next().unwrap() {
                    read.push(line.to_vec());
                }
            }
            let expected: [&[u8]; 7] = [b"a", b"b", b"c", b"", b"", b"\xef\xbb\xbfd", b""];
            assert_eq!((read, lines.rest()), (expected.map(<[u8]>::to_vec).to_vec(), &b"e"[..]), "{cut}");
        }
    }

    #[test]
    fn overlong_line_is_rejected() {
        let mut lines = Lines::new();
        let piece = [b'x'; 4096];
        for _ in 0..LINE_LIMIT / piece.len() {
            lines.push(&piece);
            assert_eq!(lines.next().unwrap(), None);
        }
        lines.push(b"x");
        assert!(lines.next().unwrap_err().message().contains("1048576"));
        let mut whole = Lines::new();
        whole.push(&vec![b'x'; LINE_LIMIT]);
        whole.push(b"x\n");
        whole.next().unwrap_err();
    }
}
