//! Store of the agents' heartbeats.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::error::Result;

/// Heartbeats of the agents over all processes that share the store.
///
/// # Contract
/// - `last_heartbeats` returns the time recorded by `record_heartbeats` for each agent, in the given order, and `None` for an agent
///   without one.
/// - The latest of all recorded times of an agent counts, in whichever order they were recorded.
///
/// # Errors
/// Those of every [store](crate::ports#stores).
///
/// # Cancel safety
/// A call whose future is dropped has its whole effect or none, possibly after the drop; a read has no effect.
///
/// # Examples
///
/// ```
/// use sutazai_core::memory::MemoryAgentStore;
/// use sutazai_core::ports::{AgentStore, Clock, SystemClock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sutazai_core::Result<()> {
/// let store = MemoryAgentStore::new();
/// let (agents, now) = (["counter".to_owned(), "greeter".to_owned()], SystemClock.now());
/// store.record_heartbeats(&agents[..1], now).await?;
/// assert_eq!(store.last_heartbeats(&agents).await?, [Some(now), None]);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait AgentStore: Debug + Send + Sync + 'static {
    /// Records a heartbeat of these agents at `at`, accurate to the microsecond.
    async fn record_heartbeats(&self, agents: &[String], at: DateTime<Utc>) -> Result<()>;

    /// Last heartbeat of each agent, in the given order; `None` if there was none.
    async fn last_heartbeats(&self, agents: &[String]) -> Result<Vec<Option<DateTime<Utc>>>>;
}
