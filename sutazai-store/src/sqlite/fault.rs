//! The one place where errors of the library become ours, naming the database file.

use std::path::Path;

use sutazai_core::{Error, ErrorKind};

pub(super) use crate::fault::{Fault, Outcome};

impl Fault {
    /// The error for the caller.
    pub(super) fn into_error(self, path: &Path) -> Error {
        match self {
            Self::Ours(error) => error,
            Self::Database(error) => translate(error, path),
        }
    }
}

/// Result codes: <https://www.sqlite.org/rescode.html>; the low byte of an extended code is the primary one.
fn translate(error: sqlx::Error, path: &Path) -> Error {
    let file = path.display();
    let text = error.to_string();
    let primary = error
        .as_database_error()
        .and_then(|e| e.code())
        .and_then(|code| code.parse::<u32>().ok())
        .map(|code| code & 0xff);
    let (kind, message) = match primary {
        Some(5 | 6) => (ErrorKind::Busy, format!("the database {file} is locked by another process")),
        Some(8) => {
            (ErrorKind::Unavailable, format!("the database {file} cannot be written: it is read-only"))
        }
        Some(9) => (ErrorKind::Timeout, format!("the database {file} took too long")),
        Some(10) => {
            (ErrorKind::Unavailable, format!("the database {file} could not be read or written: {text}"))
        }
        Some(11) => (ErrorKind::Unavailable, format!("the database {file} is damaged")),
        Some(13) => (ErrorKind::Unavailable, format!("the disk that holds the database {file} is full")),
        Some(14) => (ErrorKind::Unavailable, format!("the database {file} cannot be opened")),
        Some(19) => return constraint(&text).with_source(error),
        Some(26) => (ErrorKind::Unavailable, format!("{file} is not an SQLite database")),
        _ => match error {
            sqlx::Error::PoolTimedOut => {
                (ErrorKind::Busy, format!("no connection to the database {file} became free"))
            }
            _ => (ErrorKind::Internal, format!("the database {file} failed: {text}")),
        },
    };
    Error::new(kind, message).with_source(error)
}

/// A broken constraint, with the field it is about: `... constraint failed: users.email_key` is about `email`.
fn constraint(text: &str) -> Error {
    let column = text.rsplit_once("constraint failed: ").and_then(|(_, columns)| {
        let first = columns.split(',').next()?;
        let column = first.rsplit('.').next()?.trim();
        Some(column.strip_suffix("_key").unwrap_or(column).to_owned())
    });
    match column {
        Some(field) if text.contains("UNIQUE") => Error::conflict("is already taken").with_field(field),
        Some(field) => Error::conflict("does not fit what is there").with_field(field),
        None => Error::conflict("does not fit what is there"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_constraint_names_the_field() {
        let e = constraint("(code: 2067) UNIQUE constraint failed: users.email_key");
        assert_eq!(
            (e.kind(), e.field(), e.message()),
            (ErrorKind::Conflict, Some("email"), "is already taken")
        );
        assert_eq!(constraint("(code: 787) FOREIGN KEY constraint failed").field(), None);
    }
}
