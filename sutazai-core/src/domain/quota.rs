//! How much one user may keep, and the error for what would be more.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// Sessions that a user has at once; a new one ends the oldest.
pub const MAX_SESSIONS: u32 = 50;
/// API keys that a user has.
pub const MAX_API_KEYS: u32 = 50;
/// Schedules that a user has: each may ask for a task a minute.
pub const MAX_SCHEDULES: u32 = 100;
/// Invitations of all admins that have neither been used nor expired.
pub const MAX_INVITATIONS: u32 = 100;

/// When to come again with a task that the user's queue had no place for.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);

/// How many documents a user may have, and how large they are together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentQuota {
    /// Documents.
    pub documents: u32,
    /// Bytes of the files that they were made of.
    pub bytes: u64,
}

/// The error of a thing that is one too many, the same over every store: `what` are such things in the plural.
pub fn too_many(what: &str, max: u32) -> Error {
    Error::conflict(format!("there may be at most {max} {what} of one user: delete one first"))
}

/// The error of a document for which the user has no space left, the same over every store.
pub fn too_large(quota: &DocumentQuota) -> Error {
    let bytes = quota.bytes;
    Error::conflict(format!("the documents of one user may have at most {bytes} bytes: delete one first"))
}

/// The error of a task that the user's queue has no place for, the same over every store.
pub fn queue_full(max: u32) -> Error {
    let why =
        format!("at most {max} tasks of one user may wait for a worker: come again when some have begun");
    Error::new(ErrorKind::RateLimited, why).with_retry_after(FULL_RETRY_AFTER)
}

/// The error of an invitation of which there may be no more, the same over every store.
pub fn too_many_invitations() -> Error {
    let why = format!(
        "at most {MAX_INVITATIONS} invitations may be open: delete one, or wait until one has expired"
    );
    Error::conflict(why)
}

/// The error of an invitation that is not good, the same over every store.
pub fn bad_invitation() -> Error {
    let why = "the invitation is unknown, used or expired: ask an admin for another";
    Error::new(ErrorKind::Forbidden, why).with_field("invitation")
}

/// The error of a change after which there would be no admin who can sign in, the same over every store.
pub fn last_admin() -> Error {
    Error::conflict("this is the last admin who can sign in: make another user an admin first")
}
