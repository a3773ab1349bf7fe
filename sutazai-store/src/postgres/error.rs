//! Translates errors of sqlx into ours; they name the database without its password.

use std::fmt::Display;

use sqlx::postgres::PgDatabaseError;
use sutazai_core::{Error, ErrorKind};

pub(super) use crate::error::{StoreError, StoreResult};

/// Translates a store error into one for the caller; `place` names the database.
pub(super) fn error(fault: StoreError, place: &dyn Display) -> Error {
    match fault {
        StoreError::Ours(error) => error,
        StoreError::Database(error) => translate(error, place),
    }
}

/// Returns whether the connection can no longer be used.
pub(super) fn is_lost(fault: &StoreError) -> bool {
    match fault {
        StoreError::Ours(_) => false,
        StoreError::Database(error) => match database_error(error) {
            // Class 08 are connection errors; with class 57P the server shuts down, and this connection with
            // it.
            Some(e) => e.code().starts_with("57P") || e.code().starts_with("08"),
            None => !matches!(error, sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. }),
        },
    }
}

/// Returns whether the same transaction may succeed when it is retried, because concurrent writers caused the
/// error.
pub(super) fn may_pass(fault: &StoreError) -> bool {
    match fault {
        StoreError::Ours(error) => error.kind() == ErrorKind::Busy,
        StoreError::Database(error) => {
            // serialization_failure, deadlock_detected, and a unique key that was taken since its lookup.
            database_error(error).is_some_and(|e| {
                matches!(e.code(), "40001" | "40P01")
                    || matches!(e.constraint(), Some("tasks_unique_key" | "documents_upload_key"))
            })
        }
    }
}

fn database_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error().and_then(|e| e.try_downcast_ref())
}

/// Translates an error by its SQLSTATE code:
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn translate(error: sqlx::Error, place: &dyn Display) -> Error {
    let Some(refused) = database_error(&error) else {
        let (kind, message) = match &error {
            sqlx::Error::PoolTimedOut => (ErrorKind::Unavailable, "the database is busy"),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed => (ErrorKind::Unavailable, "the database cannot be reached"),
            _ => (ErrorKind::Internal, "the database failed"),
        };
        return Error::new(kind, message).with_detail(format!("{place}: {error}")).with_source(error);
    };
    let (code, text) = (refused.code(), refused.message());
    let unavailable =
        |why: &str| (ErrorKind::Unavailable, "the database cannot be used", format!("{place}: {why}{text}"));
    let (kind, message, detail) = match code {
        "23505" | "23503" | "23514" => return constraint(refused).with_source(error),
        "22008" => {
            let message = "a time is out of the range of the database";
            return Error::new(ErrorKind::InvalidInput, message).with_source(error);
        }
        "40001" | "40P01" | "55P03" => (
            ErrorKind::Busy,
            "the database is busy",
            format!("{place}: concurrent writers conflicted: {text}"),
        ),
        "57014" => (ErrorKind::Timeout, "the database took too long", format!("{place}: {text}")),
        "53100" => unavailable("its disk is full: "),
        "3D000" => unavailable("create it first: "),
        "42P01" | "42703" => unavailable("its schema is not up to date: "),
        "25006" => unavailable("it is read-only: "),
        // PgBouncer rejects the settings that a server accepts at startup.
        "08P01" if text.contains("startup parameter") => {
            unavailable("it is behind a pooler, so add ?pgbouncer=true to DATABASE_URL: ")
        }
        "42501" => unavailable("a privilege is missing: "),
        _ if ["08", "28", "53", "57P", "58"].iter().any(|class| code.starts_with(class)) => unavailable(""),
        _ => (ErrorKind::Internal, "the database failed", format!("{place}: {text} ({code})")),
    };
    Error::new(kind, message).with_detail(detail).with_source(error)
}

/// Builds the error of a violated constraint, with the field that it is about: `users_email` of `users` is
/// about `email`.
fn constraint(refused: &PgDatabaseError) -> Error {
    let table = refused.table().unwrap_or_default();
    let field = refused.constraint().and_then(|name| name.strip_prefix(table)?.strip_prefix('_'));
    match field {
        Some(field) if refused.code() == "23505" => Error::conflict("is already taken").with_field(field),
        _ => Error::conflict("conflicts with stored data"),
    }
}
