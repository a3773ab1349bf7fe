//! Task engine: the inbound API on one side, the workers on the other, sharing only the store.
//!
//! * `client`: the API for embedders, its builder, handles of tasks, the registered agents,
//! * `worker`: claims tasks, runs them and records their outcomes,
//! * `events`: events of one task, and the event log of all,
//! * `background`: liveness of agents, removal of old tasks, supervision of all loops,
//! * `result_cache`: shared cache of ended tasks,
//! * `shared`: the state that these parts share, `guarded`: turns panics of port calls into errors.

mod background;
mod client;
mod events;
mod guarded;
mod result_cache;
mod shared;
mod worker;

pub use client::builder::{DEFAULT_LEASE, DEFAULT_SHUTDOWN_GRACE, EngineBuilder, default_workers};
pub use client::engine::Engine;
pub use client::task_handle::TaskHandle;
pub use events::log::{EventLogStream, EventLogSubscription};
pub use events::stream::EventStream;
