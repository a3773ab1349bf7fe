//! Standard output: what a command gives, and nothing else.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stdout};

use sutazai_core::{Error, Result};

use super::printable::{Printable, is_steering};

const FIELD: &str = "standard output";

/// Writes one line, as a terminal may show it, and sees that it is out.
///
/// # Errors
/// `Unavailable` when it cannot be written: the disk behind it is full, or nobody reads any more.
pub(crate) fn line(text: Arguments<'_>) -> Result<()> {
    write(format_args!("{}\n", Printable(text)))
}

/// Writes one line of JSON. What steers a terminal is escaped: to a program that reads it, it is the same.
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

/// Writes a text that has been made for a terminal, without a line break at the end.
///
/// # Errors
/// Those of [`line`].
pub(crate) fn write(text: Arguments<'_>) -> Result<()> {
    let mut out = stdout().lock();
    out.write_fmt(text)
        .and_then(|()| out.flush())
        .map_err(|e| Error::unavailable(format!("cannot be written: {e}")).with_field(FIELD).with_source(e))
}

/// Whether the command ended because its reader did, as in `| head -1`: that one has seen enough.
pub(crate) fn is_closed(error: &Error) -> bool {
    let below = std::error::Error::source(error).and_then(|below| below.downcast_ref::<std::io::Error>());
    error.field() == Some(FIELD) && below.is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
}
