//! What SutazAI's engine works with: agents, model backends and metric sources.
//!
//! - [`agents`]: what does tasks; the hardware-optimizer, the model-puller.
//! - [`metrics`]: sources of what is measured on this machine, and its history.
//! - [`models`]: backends of language models, and the manager that makes one of several.
//!
//! Everything here implements a port of `sutazai-core`; nothing here is imported by it.

pub mod agents;
pub mod metrics;
pub mod models;
