//! Password hashing port. Hashing is expensive on purpose, so it runs off the async threads with limited concurrency.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;

/// Hashes passwords and verifies them.
///
/// # Contract
/// - A password verifies against its own hash and against no other.
/// - Two hashes of one password differ (salt).
/// - A hash never contains the password.
/// - A hash made with the current cost is not outdated; any other text is.
/// - `verify` without a hash costs as much as with one, and is false.
///
/// # Cancel safety
/// A hash that has begun when its future is dropped runs to its end and keeps its core until then; one that still
/// waits is not begun.
///
/// # Examples
///
/// ```
/// use sutazai_core::Result;
/// use sutazai_core::ports::PasswordHasher;
///
/// /// Signs up with a password, and signs in with the same one.
/// async fn round_trip(hasher: &dyn PasswordHasher) -> Result<()> {
///     let hash = hasher.hash("correct horse battery").await?;
///     assert!(hasher.verify("correct horse battery", Some(hash.clone())).await?);
///     assert!(!hasher.verify("battery horse correct", Some(hash)).await?);
///     // An unknown user costs the same work.
///     assert!(!hasher.verify("correct horse battery", None).await?);
///     Ok(())
/// }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait PasswordHasher: Debug + Send + Sync + 'static {
    /// Hashes a password into PHC format.
    ///
    /// # Errors
    /// `Busy` with a retry time if too many hashes are queued.
    async fn hash(&self, password: &str) -> Result<String>;

    /// Returns whether the password matches the hash. Without a hash (unknown user) the same work is done, so that the
    /// response time does not reveal which users exist.
    ///
    /// # Errors
    /// Those of [`hash`](Self::hash); `Internal` if `hash` is not in PHC format.
    async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool>;

    /// Returns whether a hash has another cost or algorithm than [`hash`](Self::hash) produces now.
    fn is_outdated(&self, hash: &str) -> bool;
}
