//! Where API keys live.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::{ApiKey, ApiKeyId, UserId};
use crate::error::Result;

/// The API key store. It knows keys by their hash only.
///
/// # Contract
/// - A created key is found by its hash, whole; an unknown hash finds none.
/// - A second key of the same hash is `Conflict` and changes nothing.
/// - A user has at most [`MAX_API_KEYS`](crate::domain::MAX_API_KEYS), however many are added at once: one more is `Conflict`.
/// - `api_keys` gives one user's keys, newest first.
/// - `record_use` sets the time of the latest use and nothing else, and never sets it back.
/// - `delete` removes a key of this user; one of somebody else, or one that is not there, is `NotFound` and stays.
/// - `delete_all` removes all keys of one user and tells how many those were.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait ApiKeyStore: Debug + Send + Sync + 'static {
    /// Adds a key.
    async fn create(&self, key: &ApiKey) -> Result<()>;

    /// The key with this hash, if there is one.
    async fn find(&self, hash: &str) -> Result<Option<ApiKey>>;

    /// The keys of a user.
    async fn api_keys(&self, user: UserId) -> Result<Vec<ApiKey>>;

    /// Sets the time of the latest use.
    async fn record_use(&self, id: ApiKeyId, at: DateTime<Utc>) -> Result<()>;

    /// Removes a key.
    async fn delete(&self, user: UserId, id: ApiKeyId) -> Result<()>;

    /// Removes all keys of a user.
    async fn delete_all(&self, user: UserId) -> Result<u64>;
}
