//! What several servers remember together for a while, so that not each has to ask the store.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;

/// Texts by key, each for a while. Whoever uses it must do as well without: what is in it may be forgotten at any time,
/// and calls may fail.
///
/// # Contract
/// - `get` gives what was put last under this key, whole, and nothing under another.
/// - A value is gone after its lifetime, and not before.
/// - `put` goes over what is there and begins a new lifetime.
/// - `add` keeps what is there, with its lifetime, and else does as `put`.
/// - Of several who `add` at the same time one is heard.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Cache: Debug + Send + Sync + 'static {
    /// The value under this key.
    ///
    /// # Errors
    /// `Unavailable` when the cache cannot be reached.
    async fn get(&self, key: &str) -> Result<Option<String>>;

    /// Keeps the value for so long, over what may be there.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    async fn put(&self, key: &str, value: &str, life: Duration) -> Result<()>;

    /// Keeps the value for so long, unless there is one.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    async fn add(&self, key: &str, value: &str, life: Duration) -> Result<()>;
}
