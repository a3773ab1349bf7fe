//! Password hashing; slow on purpose, so it runs off the async threads and with bounded concurrency.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;

/// Hashes and verifies passwords.
///
/// # Contract
/// - A password verifies against its own hash and against no other.
/// - Two hashes of one password differ (salt).
/// - A hash never contains the password.
/// - A hash of one's own is not outdated; what is none of one's own is.
/// - `verify` against no hash costs as much as against one, and is false.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait PasswordHasher: Debug + Send + Sync + 'static {
    /// The hash of a password in PHC form.
    ///
    /// # Errors
    /// `Busy` with a time to retry when too many hashes wait.
    async fn hash(&self, password: &str) -> Result<String>;

    /// Whether the password fits the hash; for an unknown user (`None`) the same work is done in vain.
    async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool>;

    /// Whether a hash is of another cost or kind than [`hash`](Self::hash) makes now.
    fn is_outdated(&self, hash: &str) -> bool;
}
