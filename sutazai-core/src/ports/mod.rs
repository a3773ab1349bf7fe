//! Ports of the engine, one trait per file.
//!
//! The documentation of each port has a `# Contract`, and each of its bullets is a test of the port's conformance suite
//! in `testing`. All ports are object-safe, `Debug + Send + Sync + 'static`, take `&self` and are used as `Arc<dyn
//! Port>`.

pub mod agent;
pub mod agent_store;
pub mod announcer;
pub mod api_key_store;
pub mod cache;
pub mod clock;
pub mod conversation_store;
pub mod document_store;
pub mod event_sink;
pub mod identity_store;
pub mod message_bus;
pub mod metric_source;
pub mod metric_store;
pub mod model_backend;
pub mod password_hasher;
pub mod rate_limiter;
pub mod relay_store;
pub mod schedule_store;
pub mod task_store;
pub mod token_signer;
pub mod tracer;

pub use agent::{Agent, AgentContext, collect_snapshot};
pub use agent_store::AgentStore;
pub use announcer::{Announcer, CommitEffects};
pub use api_key_store::ApiKeyStore;
pub use cache::Cache;
pub use clock::{Clock, SystemClock};
pub use conversation_store::ConversationStore;
pub use document_store::DocumentStore;
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
pub use task_store::{ClaimRequest, LeaseState, TaskStore, WakeUp, deduplication_key_taken};
pub use token_signer::{AUDIENCE, AccessClaims, ISSUER, TokenSigner};
pub use tracer::{SilentTracer, Tracer};
