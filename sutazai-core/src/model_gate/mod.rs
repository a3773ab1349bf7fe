//! Who may use the model, and when: a bounded queue in front of every backend.
//!
//! A model writes a few answers at once and no more. [`ModelGate`] stands in front of it, gives each user and each kind
//! of work its turn, and refuses at once what would come too late anyway. Agents get the model through it with their
//! tasks, people and programs through [`Engine::model_for`](crate::engine::Engine::model_for).
//!
//! * `line`: who comes next,
//! * `queue`: who runs, who waits, how long that will take; decides everything, knows no clock and no task,
//! * `limits`: what one user may ask for,
//! * `gate`: the queue with a model behind it,
//! * `measurement`: what is counted about each request.

mod gate;
mod limits;
mod line;
mod measurement;
mod queue;

pub use gate::{ModelGate, ModelGateConfig};
