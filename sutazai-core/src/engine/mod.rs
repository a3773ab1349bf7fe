//! Task engine: the inbound API on one side, the workers on the other, sharing only the store.
//!
//! * [`Engine`] and [`EngineBuilder`]: the API for embedders,
//! * `agent_status`: heartbeats and liveness of agents over all processes,
//! * `claimer`: claims due tasks and starts them as workers become free,
//! * `counts`: metrics of attempts,
//! * `events`: the event stream of one task, and the buffer of reported events,
//! * `feed`: the event log of all tasks, read once for all subscribers,
//! * `finisher`: records outcomes, many per transaction,
//! * `guarded`: turns panics of port calls into errors,
//! * `hand_over`: local dispatch of new tasks to free workers,
//! * `heartbeat`: renews leases, receives cancellations, gives up lost claims,
//! * `pace`: estimates the duration of attempts,
//! * `registry`: registered agents and their input schemas,
//! * `remembered`: shared cache of ended tasks,
//! * `retention`: removes old tasks, `retry`: backoff between attempts,
//! * `running`: the claims held by this process, with their cancellation handles,
//! * `set_clock`: suspends reaping after the wall clock was set forward,
//! * `worker`: runs one claim and determines its outcome.

mod agent_status;
mod api;
mod builder;
mod claimer;
mod counts;
mod events;
mod feed;
mod finisher;
mod guarded;
mod hand_over;
mod heartbeat;
mod pace;
mod registry;
mod remembered;
mod retention;
mod retry;
mod running;
mod set_clock;
mod worker;

pub use api::Engine;
pub use builder::{DEFAULT_LEASE, EngineBuilder};
pub use events::EventStream;
pub use feed::{Feed, FeedStream};
