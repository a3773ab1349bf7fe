//! The engine: the inbound API on one side, the workers on the other. They share only the store.
//!
//! * [`Engine`] and [`EngineBuilder`]: what an embedder calls,
//! * `claimer`: takes due tasks and starts them as slots become free,
//! * `hand_over`: tasks that come when nothing waits go straight to the slots,
//! * `worker`: runs one claim and says how it ended,
//! * `finisher`: records outcomes, many to a transaction,
//! * `heartbeat`: prolongs leases, brings cancellations, gives up what is lost,
//! * `feed`: the events of all tasks in one stream, read once for all who follow it,
//! * `agent_status`: who works for which agent, in whichever process,
//! * `remembered`: what servers remember together, so that not each asks the store,
//! * `pace`: how long attempts have taken of late, `counts`: figures about tasks,
//! * `events`: the stream of a task's events, and the batching of those that agents report.

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
pub use builder::EngineBuilder;
pub use events::EventStream;
pub use feed::{Feed, FeedStream};
