//! Domain model and task engine of SutazAI: tasks, agents, models and findings, and the engine that runs them.
//!
//! This crate depends on no database, HTTP, Python or operating-system library. It reaches everything outside the
//! process through the traits in [`ports`]; their adapters live in the sibling crates.
//!
//! * [`chat`]: conversations with a model,
//! * [`constraints`]: JSON Schemas checked on threads of their own,
//! * [`documents`]: users' documents, split into chunks and searched,
//! * [`domain`]: plain values without IO,
//! * [`engine`]: the inbound API and the workers,
//! * [`error`]: the error type that all ports share,
//! * [`identity`]: registration, login, token refresh, roles and API keys,
//! * [`memory`]: reference adapters over std collections,
//! * [`admission_control`]: admission control in front of the models,
//! * [`ports`]: one trait per file, each with a `# Contract` that its conformance suite proves,
//! * [`relay`]: publishes task events to a message bus,
//! * [`schedules`]: tasks submitted at the times of a cron pattern,
//! * [`testing`] (feature `testing`): conformance suites and mocks,
//! * [`trace`]: the trace context of the running code.

pub mod admission_control;
pub mod chat;
pub mod constraints;
pub mod documents;
pub mod domain;
pub mod engine;
pub mod error;
pub mod identity;
pub mod memory;
pub mod ports;
pub mod relay;
pub mod schedules;
#[cfg(feature = "testing")]
pub mod testing;
pub mod trace;
mod validation;

pub use error::{Error, ErrorKind, Result};
