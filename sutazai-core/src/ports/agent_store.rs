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
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait AgentStore: Debug + Send + Sync + 'static {
    /// Records a heartbeat of these agents at `at`, accurate to the microsecond.
    async fn record_heartbeats(&self, agents: &[String], at: DateTime<Utc>) -> Result<()>;

    /// Last heartbeat of each agent, in the given order; `None` if there was none.
    async fn last_heartbeats(&self, agents: &[String]) -> Result<Vec<Option<DateTime<Utc>>>>;
}
