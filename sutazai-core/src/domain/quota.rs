//! Quotas of one user, and the errors for exceeding them.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// Maximum number of sessions of a user; a new one ends the oldest.
pub const MAX_SESSIONS: u32 = 50;
/// Maximum number of API keys of a user.
pub const MAX_API_KEYS: u32 = 50;
/// Maximum number of schedules of a user; each may submit one task per minute.
pub const MAX_SCHEDULES: u32 = 100;
/// Maximum number of open invitations over all admins: neither used nor expired.
pub const MAX_INVITATIONS: u32 = 100;

/// Suggested delay before retrying a submission to a full queue.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Maximum number and total size of a user's documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentQuota {
    /// Maximum number of documents.
    pub documents: u32,
    /// Maximum total size of the uploaded files in bytes.
    pub bytes: u64,
}

/// Limits on the messages in all conversations of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageQuota {
    /// Maximum number of messages.
    pub messages: u32,
    /// Maximum total size of their contents, in bytes.
    pub bytes: u64,
}

impl MessageQuota {
    /// Checks that a user who has `messages` messages with `bytes` bytes in total may add one of `more` bytes. All
    /// stores share this check.
    ///
    /// # Errors
    /// `Conflict` naming the limit.
    pub fn check(&self, messages: u64, bytes: u64, more: u64) -> Result<()> {
        let Self { messages: max_messages, bytes: max_bytes } = *self;
        if messages >= u64::from(max_messages) {
            return Err(Error::conflict(format!(
                "the conversations of one user may have at most {max_messages} messages: delete a conversation first"
            )));
        }
        if bytes.saturating_add(more) > max_bytes {
            return Err(Error::conflict(format!(
                "the messages of one user may have at most {max_bytes} bytes: delete a conversation first"
            )));
        }
        Ok(())
    }
}

/// Returns the error for creating a first admin although there is one. All stores share it.
pub fn has_admin() -> Error {
    Error::conflict("this server has an admin already: sign in, or ask that admin")
}

/// Returns the error for exceeding a quota of `max` objects, named in the plural by `what`. All stores share it.
pub fn too_many(what: &str, max: u32) -> Error {
    Error::conflict(format!("there may be at most {max} {what} of one user: delete one first"))
}

/// Returns the error for exceeding the storage quota for documents. All stores share it.
pub fn too_large(quota: &DocumentQuota) -> Error {
    let bytes = quota.bytes;
    Error::conflict(format!("the documents of one user may have at most {bytes} bytes: delete one first"))
}

/// Returns the error for a task that the user's full queue cannot accept. All stores share it.
pub fn queue_full(max: u32) -> Error {
    let why = format!("at most {max} tasks of one user may wait for a worker: retry when some have started");
    Error::new(ErrorKind::RateLimited, why).with_retry_after(FULL_RETRY_AFTER)
}

/// Returns the error for exceeding [`MAX_INVITATIONS`]. All stores share it.
pub fn too_many_invitations() -> Error {
    let why = format!(
        "at most {MAX_INVITATIONS} invitations may be open: delete one, or wait until one has expired"
    );
    Error::conflict(why)
}

/// Returns the error for an unknown, used or expired invitation. All stores share it.
pub fn bad_invitation() -> Error {
    let why = "the invitation is unknown, used or expired: ask an admin for another";
    Error::new(ErrorKind::Forbidden, why).with_field("invitation")
}

/// Returns the error for a change that would leave no admin who can sign in. All stores share it.
pub fn last_admin() -> Error {
    Error::conflict("this is the last admin who can sign in: make another user an admin first")
}
