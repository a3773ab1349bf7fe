//! API for embedders: the engine, its builder, the registered agents.

pub(crate) mod builder;
pub(crate) mod engine;
pub(crate) mod registry;
