//! Admission control: a bounded, fair queue in front of every model backend.
//!
//! A model generates only a few answers concurrently. [`AdmissionControl`] grants its slots fairly to users and kinds of work,
//! and rejects at once a request whose answer would come too late anyway. Agents get their model through it with their
//! tasks; people and programs through [`Engine::model_for`](crate::engine::Engine::model_for).
//!
//! * `control`: the queue with a model behind it,
//! * `limits`: limits of one user,
//! * `fair_queue`: the order of queued requests,
//! * `measurement`: metrics of requests,
//! * `queue`: slots, queue and expected waiting times; all decisions, without a clock or async code.

mod control;
mod fair_queue;
mod limits;
mod measurement;
mod queue;

pub use control::{AdmissionControl, AdmissionControlConfig};
pub use queue::ModelLoad;
