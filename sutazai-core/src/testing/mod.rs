//! Test support: one conformance suite per port, mocks of every port, a scripted model and a manual clock.
//!
//! A suite is a module with one `pub async fn` for each bullet of the port's `# Contract`, and `run_all`, which runs
//! them against the stores that a factory makes. One test shows that an adapter conforms:
//!
//! ```ignore
//! #[tokio::test]
//! async fn conforms() {
//!     sutazai_core::testing::cache::run_all(|| async { Arc::new(MyCache::new()) }).await;
//! }
//! ```

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used)] // a suite fails by panicking, as a test does

pub mod agent;
pub mod agent_store;
pub mod api_key_store;
pub mod cache;
pub mod clock;
mod context;
pub mod conversation_store;
pub mod document_store;
pub mod event_log;
pub mod event_sink;
pub mod identity_store;
mod large_json;
mod manual_clock;
pub mod message_bus;
pub mod metric_source;
pub mod metric_store;
pub mod model_backend;
mod mutation;
pub mod password_hasher;
pub mod rate_limiter;
mod real_time;
pub mod relay_store;
pub mod schedule_store;
pub mod schedules;
mod scripted_model;
pub mod task_queue;
pub mod task_records;
pub mod task_store;
pub mod token_signer;
pub mod tracer;

pub use context::{RecordedEvents, agent_context, sources_of};
pub(crate) use large_json::large_json;
pub use manual_clock::ManualClock;
pub use mutation::mutated;
pub use scripted_model::{ScriptedAnswer, ScriptedModelBackend};

pub use crate::ports::agent::MockAgent;
pub use crate::ports::agent_store::MockAgentStore;
pub use crate::ports::api_key_store::MockApiKeyStore;
pub use crate::ports::cache::MockCache;
pub use crate::ports::clock::MockClock;
pub use crate::ports::conversation_store::MockConversationStore;
pub use crate::ports::document_store::MockDocumentStore;
pub use crate::ports::event_log::MockEventLog;
pub use crate::ports::event_sink::MockEventSink;
pub use crate::ports::identity_store::MockIdentityStore;
pub use crate::ports::message_bus::MockMessageBus;
pub use crate::ports::metric_source::MockMetricSource;
pub use crate::ports::metric_store::MockMetricStore;
pub use crate::ports::model_backend::MockModelBackend;
pub use crate::ports::password_hasher::MockPasswordHasher;
pub use crate::ports::rate_limiter::MockRateLimiter;
pub use crate::ports::relay_store::MockRelayStore;
pub use crate::ports::schedule_store::MockScheduleStore;
pub use crate::ports::task_queue::MockTaskQueue;
pub use crate::ports::task_records::MockTaskRecords;
pub use crate::ports::token_signer::MockTokenSigner;
pub use crate::ports::tracer::MockTracer;
