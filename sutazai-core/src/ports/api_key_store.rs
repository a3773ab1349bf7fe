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
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait ApiKeyStore: Debug + Send + Sync + 'static {
    /// Stores a new key.
    async fn create(&self, key: &ApiKey) -> Result<()>;

    /// Returns the key with this hash, if there is one.
    async fn find(&self, hash: &str) -> Result<Option<ApiKey>>;

    /// Returns the keys of a user, newest first.
    async fn api_keys(&self, user: UserId) -> Result<Vec<ApiKey>>;

    /// Sets the time of the latest use.
    async fn record_use(&self, id: ApiKeyId, at: DateTime<Utc>) -> Result<()>;

    /// Removes a key of this user.
    async fn delete(&self, user: UserId, id: ApiKeyId) -> Result<()>;

    /// Removes all keys of a user and returns their number.
    async fn delete_all(&self, user: UserId) -> Result<u64>;
}
