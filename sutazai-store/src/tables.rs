//! Tables that the calls of the stores are about, as their spans name them.

use crate::spans::Table;

pub(crate) const AGENTS: Table = Table("agents");
pub(crate) const AGENT_MESSAGES: Table = Table("agent_messages");
pub(crate) const API_KEYS: Table = Table("api_keys");
pub(crate) const CHUNKS: Table = Table("chunks");
pub(crate) const CONVERSATIONS: Table = Table("conversations");
pub(crate) const DOCUMENTS: Table = Table("documents");
pub(crate) const INVITATIONS: Table = Table("invitations");
pub(crate) const MESSAGES: Table = Table("messages");
pub(crate) const METRIC_SAMPLES: Table = Table("metric_samples");
pub(crate) const METRIC_SERIES: Table = Table("metric_series");
pub(crate) const OUTBOX: Table = Table("outbox");
#[cfg(feature = "postgres")]
pub(crate) const QUEUE: Table = Table("queue");
pub(crate) const RELAY: Table = Table("relay");
pub(crate) const SCHEDULES: Table = Table("schedules");
#[cfg(feature = "postgres")]
pub(crate) const SCHEMA: Table = Table("sutazai_schema");
pub(crate) const SESSIONS: Table = Table("user_sessions");
pub(crate) const SPENT_TOKENS: Table = Table("spent_refresh_tokens");
pub(crate) const TASKS: Table = Table("tasks");
pub(crate) const TASK_EVENTS: Table = Table("task_events");
pub(crate) const USERS: Table = Table("users");
