//! Standard output: the result of a command, and nothing else.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stdout};

use sutazai_core::{Error, Result};

use super::printable::{Printable, is_steering};

const FIELD: &str = "standard output";

/// Writes one line with terminal control characters replaced, and flushes it.
///
/// # Errors
/// `Unavailable` when writing fails, because the disk is full or the reader is gone.
pub(crate) fn line(text: Arguments<'_>) -> Result<()> {
    write(format_args!("{}\n", Printable(text)))
}

/// Writes one line of JSON. Terminal control characters are escaped, which means the same to a program that parses
/// it.
///
/// # Errors
/// Those of [`line`].
pub(crate) fn json(text: &str) -> Result<()> {
    let mut escaped = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if is_steering(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing into a string cannot fail.
                let _ = std::fmt::Write::write_fmt(&mut escaped, format_args!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(c);
        }
    }
    write(format_args!("{escaped}\n"))
}

/// Writes a text that is already safe for a terminal, without adding a line break.
///
/// # Errors
/// Those of [`line`].
pub(crate) fn write(text: Arguments<'_>) -> Result<()> {
    let mut out = stdout().lock();
    out.write_fmt(text)
        .and_then(|()| out.flush())
        .map_err(|e| Error::unavailable(format!("cannot be written: {e}")).with_field(FIELD).with_source(e))
}

/// Returns whether the command failed because its reader closed the pipe, as in `| head -1`. That is no
/// error: the reader has seen enough.
pub(crate) fn is_closed(error: &Error) -> bool {
    let below = std::error::Error::source(error).and_then(|below| below.downcast_ref::<std::io::Error>());
    error.field() == Some(FIELD) && below.is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
}
