//! Cuts bytes into lines of bounded length.

use sutazai_core::{Error, Result};

/// The longest line that is taken, in bytes: far above what a server writes for one token, far below what harms.
pub(in crate::models) const LINE_LIMIT: usize = 1024 * 1024;

/// Bytes that came and are not yet a line.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Up to here the buffer has been handed out.
    taken: usize,
    /// Up to here it was looked through for an end of line.
    seen: usize,
}

impl Lines {
    /// Takes more bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.seen -= self.taken;
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line, without its line feed and the carriage return before it.
    ///
    /// # Errors
    /// `Unavailable` when it is longer than [`LINE_LIMIT`].
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>> {
        let found = self.buffer[self.seen..].iter().position(|byte| *byte == b'\n').map(|at| self.seen + at);
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
        Ok(Some(line.strip_suffix(b"\r").unwrap_or(line)))
    }

    /// What came after the last line feed.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_and_in_order() {
        let mut lines = Lines::default();
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
    fn a_line_without_end_is_refused() {
        let mut lines = Lines::default();
        let piece = [b'x'; 4096];
        for _ in 0..LINE_LIMIT / piece.len() {
            lines.push(&piece);
            assert_eq!(lines.next().unwrap(), None);
        }
        lines.push(b"x");
        assert!(lines.next().unwrap_err().message().contains("1048576"));
        let mut whole = Lines::default();
        whole.push(&vec![b'x'; LINE_LIMIT]);
        whole.push(b"x\n");
        whole.next().unwrap_err();
    }
}
