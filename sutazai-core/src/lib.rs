//! The heart of SutazAI: what a task, an agent, a model and a finding are, and the engine that runs them.
//!
//! This crate knows no database, HTTP, Python or operating-system library. Everything outside is reached
//! through the traits in [`ports`]; adapters for them live in the crates beside this one.
//!
//! * [`chat`]: conversations with a model,
//! * [`documents`]: users' documents, split into chunks and searched,
//! * [`domain`]: plain values,
//! * [`ports`]: one trait a file, each with a `# Contract` that its conformance suite proves,
//! * [`engine`]: the inbound API and the workers,
//! * [`model_gate`]: who may use the model, and when,
//! * [`relay`]: events on their way to a message bus,
//! * [`identity`]: register, login, refresh, roles,
//! * [`schedules`]: tasks that are asked for by the clock,
//! * [`trace`]: the trace that the running code belongs to,
//! * [`memory`]: reference adapters over std collections,
//! * [`testing`] (feature `testing`): suites, mocks.

mod bounds;
pub mod chat;
pub mod constraints;
pub mod documents;
pub mod domain;
pub mod engine;
pub mod error;
pub mod identity;
pub mod memory;
pub mod model_gate;
pub mod ports;
pub mod relay;
pub mod schedules;
#[cfg(feature = "testing")]
pub mod testing;
pub mod trace;

pub use error::{Error, ErrorKind, Result};
