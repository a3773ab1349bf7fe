//! Loops beside the workers: liveness of agents, retention of tasks.

pub(crate) mod agent_liveness;
mod retention;
