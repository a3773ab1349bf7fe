//! Translates errors of sqlx into ours; they name the database file.

use std::path::Path;

use sutazai_core::{Error, ErrorKind};

pub(super) use crate::error::{StoreError, StoreResult};

impl StoreError {
    /// Translates a store error into one for the caller.
    pub(super) fn into_error(self, path: &Path) -> Error {
        match self {
            Self::Ours(error) => error,
            Self::Database(error) => translate(error, path),
        }
    }
}

/// Translates an error by its result code: <https://www.sqlite.org/rescode.html>. The low byte of an extended
/// code is the primary one.
fn translate(error: sqlx::Error, path: &Path) -> Error {
    let file = path.display();
    let text = error.to_string();
    let primary = error
        .as_database_error()
        .and_then(|e| e.code())
        .and_then(|code| code.parse::<u32>().ok())
        .map(|code| code & 0xff);
    let (kind, message, detail) = match primary {
        Some(5 | 6) => {
            (ErrorKind::Busy, "the database is busy", format!("{file} is locked by another process"))
        }
        Some(8) => (ErrorKind::Unavailable, "the database cannot be written", format!("{file} is read-only")),
        Some(9) => (ErrorKind::Timeout, "the database took too long", file.to_string()),
        Some(10) => {
            (ErrorKind::Unavailable, "the database could not be read or written", format!("{file}: {text}"))
        }
        Some(11) => (ErrorKind::Unavailable, "the database is damaged", file.to_string()),
        Some(13) => (ErrorKind::Unavailable, "the disk of the database is full", file.to_string()),
        Some(14) => (ErrorKind::Unavailable, "the database cannot be opened", file.to_string()),
        Some(19) => return constraint(&text).with_source(error),
        Some(26) => (
            ErrorKind::Unavailable,
            "the database cannot be used",
            format!("{file} is not an SQLite database"),
        ),
        _ => match error {
            sqlx::Error::PoolTimedOut => {
                (ErrorKind::Busy, "the database is busy", format!("no connection to {file} became free"))
            }
            _ => (ErrorKind::Internal, "the database failed", format!("{file}: {text}")),
        },
    };
    Error::new(kind, message).with_detail(detail).with_source(error)
}

/// Builds the error of a violated constraint, with the field that it is about: `... constraint failed:
/// users.email_key` is about `email`.
fn constraint(text: &str) -> Error {
    let column = text.rsplit_once("constraint failed: ").and_then(|(_, columns)| {
        let first = columns.split(',').next()?;
        let column = first.rsplit('.').next()?.trim();
        Some(column.strip_suffix("_key").unwrap_or(column).to_owned())
    });
    match column {
        Some(field) if text.contains("UNIQUE") => Error::conflict("is already taken").with_field(field),
        Some(field) => Error::conflict("conflicts with stored data").with_field(field),
        None => Error::conflict("conflicts with stored data"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_for_callers_does_not_name_the_file() {
        let e = StoreError::Database(sqlx::Error::PoolTimedOut).into_error(Path::new("/srv/tasks.db"));
        assert_eq!((e.kind(), e.message()), (ErrorKind::Busy, "the database is busy"));
        assert!(e.to_string().contains("/srv/tasks.db"), "{e}");
    }

    #[test]
    fn violated_constraint_names_the_field() {
        let e = constraint("(code: 2067) UNIQUE constraint failed: users.email_key");
        assert_eq!(
            (e.kind(), e.field(), e.message()),
            (ErrorKind::Conflict, Some("email"), "is already taken")
        );
        assert_eq!(constraint("(code: 787) FOREIGN KEY constraint failed").field(), None);
    }
}
