//! Store of API keys.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::{ApiKey, ApiKeyId, UserId};
use crate::error::Result;

/// Store of API keys, which knows them by their hash only.
///
/// # Contract
/// - A created key is found by its hash with all its fields; an unknown hash finds none.
/// - A second key with the same hash is `Conflict` and changes nothing.
/// - A user has at most [`MAX_API_KEYS`](crate::domain::MAX_API_KEYS), also under concurrent creation: one more is
///   `Conflict`.
/// - `api_keys` returns the keys of one user, newest first.
/// - `record_use` sets the time of the latest use and nothing else, and never moves it back.
/// - `delete` removes a key of this user; a key of another user or an unknown one is `NotFound` and stays.
/// - `delete_all` removes all keys of one user and returns their number.
///
/// # Errors
/// Those of every [store](crate::ports#stores), and those that the methods name.
///
/// # Cancel safety
/// A call whose future is dropped has its whole effect or none, possibly after the drop; a read has no effect.
///
/// # Examples
///
/// ```
/// use sutazai_core::Result;
/// use sutazai_core::domain::UserId;
/// use sutazai_core::memory::MemoryApiKeyStore;
/// use sutazai_core::ports::{ApiKeyStore, Clock, SystemClock};
///
/// /// Returns the user of a key, and records the use.
/// async fn user_of(keys: &dyn ApiKeyStore, hash: &str, clock: &dyn Clock) -> Result<Option<UserId>> {
///     let Some(key) = keys.find(hash).await? else { return Ok(None) };
///     keys.record_use(key.id, clock.now()).await?;
///     Ok(Some(key.user))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// assert_eq!(user_of(&MemoryApiKeyStore::new(), "unknown", &SystemClock).await?, None);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait ApiKeyStore: Debug + Send + Sync + 'static {
    /// Stores a new key.
    ///
    /// # Errors
    /// `Conflict` if a key has this hash, or the user has [`MAX_API_KEYS`](crate::domain::MAX_API_KEYS).
    async fn create(&self, key: &ApiKey) -> Result<()>;

    /// Returns the key with this hash, if there is one.
    async fn find(&self, hash: &str) -> Result<Option<ApiKey>>;

    /// Returns the keys of a user, newest first.
    async fn api_keys(&self, user: UserId) -> Result<Vec<ApiKey>>;

    /// Sets the time of the latest use.
    async fn record_use(&self, id: ApiKeyId, at: DateTime<Utc>) -> Result<()>;

    /// Removes a key of this user.
    ///
    /// # Errors
    /// `NotFound` if the user has no such key.
    async fn delete(&self, user: UserId, id: ApiKeyId) -> Result<()>;

    /// Removes all keys of a user and returns their number.
    async fn delete_all(&self, user: UserId) -> Result<u64>;
}
