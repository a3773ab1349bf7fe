//! What SutazAI's engine works with: agents, model backends and metric sources.
//!
//! - `agents`: what does the work of a task.
//! - [`metrics`]: sources of what is measured on this machine, and its history.
//! - [`models`]: backends of language models, and the manager that makes one of several.
//!
//! Everything here implements a port of `sutazai-core`; nothing here is imported by it.

mod agents;
pub mod metrics;
pub mod models;
