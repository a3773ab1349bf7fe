//! Cuts bytes into lines of bounded length.

use sutazai_core::{Error, Result};

/// The longest line that is taken, in bytes: far above what a server writes for one token, far below what harms.
pub(in crate::models) const LINE_LIMIT: usize = 1024 * 1024;

/// The byte order mark in UTF-8. Before a stream it belongs to none of its lines.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes that came and are not yet a line.
#[derive(Debug)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Up to here the buffer has been handed out.
    taken: usize,
    /// Up to here it was looked through for an end of line.
    seen: usize,
    /// Whether a lone carriage return ends a line too.
    carriage_returns: bool,
    /// Whether the last line ended with a carriage return, so that a line feed which comes next belongs to it.
    after_return: bool,
    /// Whether nothing has been handed out, so that a byte order mark may come.
    at_start: bool,
}

impl Lines {
    /// Lines that end with a line feed, or a carriage return and one.
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

    /// Lines that a carriage return alone may end as well, as those of event streams.
    pub(super) fn of_events() -> Self {
        Self { carriage_returns: true, ..Self::new() }
    }

    /// Takes more bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.seen -= self.taken;
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line, without its end.
    ///
    /// # Errors
    /// `Unavailable` when it is longer than [`LINE_LIMIT`].
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

    /// Passes over what belongs to no line: a byte order mark before the first, the line feed after a carriage return.
    fn skip(&mut self) {
        let rest = &self.buffer[self.taken..];
        let is_mark = self.at_start && rest.starts_with(BYTE_ORDER_MARK);
        let skipped = match rest {
            [b'\n', ..] if self.after_return => 1,
            _ if is_mark => BYTE_ORDER_MARK.len(),
            _ => 0,
        };
        // One mark at most; what has come of it may be a part.
        self.at_start = self.at_start && !is_mark && BYTE_ORDER_MARK.starts_with(rest);
        if !rest.is_empty() {
            self.after_return = false;
        }
        self.taken += skipped;
        self.seen = self.seen.max(self.taken);
    }

    /// What came after the last end of a line.
    pub(super) fn rest(&self) -> &[u8] {
        let rest = &self.buffer[self.taken..];
        if self.at_start { rest.strip_prefix(BYTE_ORDER_MARK).unwrap_or(rest) } else { rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_and_in_order() {
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
    fn every_end_of_a_line_of_events_counts_once_wherever_it_is_cut() {
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
    fn a_line_without_end_is_refused() {
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
