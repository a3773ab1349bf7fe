//! Ports of the engine, one trait per file.
//!
//! The documentation of each port has a `# Contract`, and each of its bullets is a test of the port's conformance suite
//! in `testing`. All ports are object-safe, `Debug + Send + Sync + 'static`, take `&self` and are used as `Arc<dyn
//! Port>`.
//!
//! # Errors, panics and cancellation
//!
//! Each method that returns a `Result` has `# Errors`, and each async method `# Cancel safety`, or its trait has them for
//! all methods. A section at a method adds to that of its trait, or names the exception. A future of a port may need a Tokio
//! runtime, and may panic when it is polled outside of one; otherwise no method panics.
//!
//! # Stores
//!
//! Every method of a store fails with `Unavailable`, `Timeout` or `Busy` if its database cannot be reached, does not
//! respond in time or is overloaded, and with `Internal` if a stored value cannot be read. A call that failed has changed
//! nothing, except that after `Unavailable` or `Timeout` its effect may have taken place.
//!
//! A write that has begun is not abandoned when its future is dropped, because its transaction could then not be
//! returned to a known state.

pub(crate) mod agent;
pub(crate) mod agent_store;
pub(crate) mod announcer;
pub(crate) mod api_key_store;
pub(crate) mod cache;
pub(crate) mod clock;
pub(crate) mod conversation_store;
pub(crate) mod document_store;
pub(crate) mod event_log;
pub(crate) mod event_sink;
pub(crate) mod identity_store;
pub(crate) mod message_bus;
pub(crate) mod metric_source;
pub(crate) mod metric_store;
pub(crate) mod model_backend;
pub(crate) mod password_hasher;
pub(crate) mod rate_limiter;
pub(crate) mod relay_store;
pub(crate) mod schedule_store;
pub(crate) mod task_queue;
pub(crate) mod task_records;
pub(crate) mod task_store;
pub(crate) mod token_signer;
pub(crate) mod tracer;

pub(crate) use agent::collect_snapshot;
pub use agent::{Agent, AgentContext};
pub use agent_store::AgentStore;
pub use announcer::{Announcer, CommitEffects};
pub use api_key_store::ApiKeyStore;
pub use cache::Cache;
pub use clock::{Clock, SystemClock};
pub use conversation_store::ConversationStore;
pub use document_store::DocumentStore;
pub use event_log::{EventLog, WakeUp};
pub use event_sink::{EventSink, SilentEventSink};
pub use identity_store::IdentityStore;
pub use message_bus::MessageBus;
pub use metric_source::MetricSource;
pub use metric_store::{MetricStore, SeriesQuery};
pub use model_backend::{ModelBackend, ModelBackendExt, ModelStream, PullProgress, PullStream};
pub use password_hasher::PasswordHasher;
pub use rate_limiter::{Quota, RateKey, RateLimitDecision, RateLimiter};
pub use relay_store::{OutboxMessage, RelayClaim, RelayStore};
pub use schedule_store::ScheduleStore;
pub use task_queue::{ClaimRequest, LeaseState, TaskQueue, deduplication_key_taken};
pub use task_records::TaskRecords;
pub use task_store::TaskStore;
pub use token_signer::{AUDIENCE, AccessClaims, ISSUER, TokenSigner};
pub use tracer::{SilentTracer, Tracer};
