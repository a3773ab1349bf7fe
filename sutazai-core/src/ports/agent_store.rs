//! Where it is kept who works for which agent.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::error::Result;

/// When somebody was last seen to work for an agent, in whichever process.
///
/// # Contract
/// - `last_seen` gives the time that `seen` noted, for each agent in the order in which they are asked for, and nothing for one that nobody was seen to work for.
/// - Of all times that were noted for an agent the latest counts, whoever was the last to tell.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait AgentStore: Debug + Send + Sync + 'static {
    /// Notes that somebody works for these agents at that time, precise to the microsecond.
    async fn seen(&self, agents: &[String], at: DateTime<Utc>) -> Result<()>;

    /// When somebody last did, for each.
    async fn last_seen(&self, agents: &[String]) -> Result<Vec<Option<DateTime<Utc>>>>;
}
