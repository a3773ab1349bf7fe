//! Store errors: failures between a port and its database.
//!
//! Inside an adapter every failure is a [`StoreError`]. At the adapter's border (a read, a write, an open) its own
//! translation turns it into an [`Error`] that names the database.

use sutazai_core::domain::TaskError;
use sutazai_core::{Error, ErrorKind};

/// `Result` whose error is a [`StoreError`].
pub(crate) type StoreResult<T> = std::result::Result<T, StoreError>;

/// Reason why a read or a write failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// A rule of the port forbids the operation, or a stored value cannot be parsed.
    #[error(transparent)]
    Ours(#[from] Error),
    /// The database reported an error.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Ours(Error::json(error))
    }
}

impl From<sqlx::error::BoxDynError> for StoreError {
    fn from(error: sqlx::error::BoxDynError) -> Self {
        Self::Database(sqlx::Error::Encode(error))
    }
}

/// Returns whether the data of a row caused the error, and not the database or concurrent writers.
pub(crate) fn is_about_data(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Internal | ErrorKind::InvalidInput | ErrorKind::Conflict)
}

/// Builds the error of a task that cannot be claimed. It has no details: they may name the database and
/// belong in the log.
pub(crate) fn unclaimable() -> TaskError {
    let message = "the stored task is damaged: it cannot be claimed";
    TaskError { kind: ErrorKind::Internal, message: message.into() }
}
