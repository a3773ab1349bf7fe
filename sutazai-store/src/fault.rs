//! What can go wrong between a port and its database.
//!
//! Inside an adapter everything fails with [`Fault`]; at its border (a read, a write, an opening) the adapter's
//! own translation turns it into an [`Error`] that names the database.

use sutazai_core::domain::TaskError;
use sutazai_core::{Error, ErrorKind};

/// `Result` with [`Fault`].
pub(crate) type Outcome<T> = std::result::Result<T, Fault>;

/// Why a read or a write failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The rules forbid it, or a value cannot be understood.
    #[error(transparent)]
    Ours(#[from] Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Ours(error.into())
    }
}

impl From<sqlx::error::BoxDynError> for Fault {
    fn from(error: sqlx::error::BoxDynError) -> Self {
        Self::Database(sqlx::Error::Encode(error))
    }
}

/// Whether a row is at fault, and not the database or those who use it at the same time.
pub(crate) fn is_about_data(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Internal | ErrorKind::InvalidInput | ErrorKind::Conflict)
}

/// Why a task has failed that could not be claimed. The details are for the log: they may name the database.
pub(crate) fn unclaimable() -> TaskError {
    let message = "the stored task is damaged: it cannot be claimed";
    TaskError { kind: ErrorKind::Internal, message: message.into() }
}
