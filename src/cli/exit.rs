//! Exit codes of commands, and error messages on standard error.

use std::process::ExitCode;

use sutazai_core::{Error, ErrorKind};

use super::printable::Printable;

/// Prints the error with its sources, and returns the exit code of its kind.
pub(crate) fn failed(error: &Error) -> ExitCode {
    if super::output::is_closed(error) {
        return ExitCode::SUCCESS;
    }
    let mut said = error.to_string();
    eprintln!("sutazai: {}", Printable(&said));
    let mut below = std::error::Error::source(error);
    while let Some(source) = below {
        let text = source.to_string();
        // Many libraries repeat the message of their source, which is printed only once.
        if !said.contains(&text) {
            eprintln!("  because: {}", Printable(&text));
            said = text;
        }
        below = source.source();
    }
    ExitCode::from(code(error.kind()))
}

fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::InvalidInput | ErrorKind::ContextLength | ErrorKind::Unsupported => 2,
        ErrorKind::Unavailable
        | ErrorKind::Timeout
        | ErrorKind::Busy
        | ErrorKind::RateLimited
        | ErrorKind::Misfit => 3,
        ErrorKind::NotFound => 4,
        ErrorKind::Conflict | ErrorKind::Unauthenticated | ErrorKind::Forbidden => 5,
        ErrorKind::Cancelled => 130,
        // `Internal`, and kinds that this version does not know.
        _ => 1,
    }
}
