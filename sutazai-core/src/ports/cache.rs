//! Shared cache of several servers, which saves them queries to the store.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;

/// Shared cache of texts by key, each with a time to live. Its users must work as well without it: entries may be
/// evicted at any time, and calls may fail.
///
/// # Contract
/// - `get` returns the value stored last under this key, unchanged, and `None` under another key.
/// - A value expires after its time to live, and not before.
/// - `put` replaces an existing value and starts a new time to live.
/// - `add` keeps an existing value with its time to live, and otherwise works as `put`.
/// - Of several concurrent calls of `add` exactly one is effective.
///
/// # Cancel safety
/// A `put` or `add` whose future is dropped may have stored the value; a `get` has no effect.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use sutazai_core::memory::MemoryCache;
/// use sutazai_core::ports::{Cache, SystemClock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sutazai_core::Result<()> {
/// let cache = MemoryCache::new(Arc::new(SystemClock));
/// let minute = Duration::from_secs(60);
/// cache.add("greeting", "hello", minute).await?;
/// cache.add("greeting", "goodbye", minute).await?;
/// assert_eq!(cache.get("greeting").await?.as_deref(), Some("hello"));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait Cache: Debug + Send + Sync + 'static {
    /// Returns the value stored under this key.
    ///
    /// # Errors
    /// `Unavailable` if the cache cannot be reached.
    async fn get(&self, key: &str) -> Result<Option<String>>;

    /// Stores the value for the duration `life`, replacing an existing one.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    async fn put(&self, key: &str, value: &str, life: Duration) -> Result<()>;

    /// Stores the value for the duration `life`, unless there is one.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    async fn add(&self, key: &str, value: &str, life: Duration) -> Result<()>;
}
