//! Loops in addition to the workers: liveness of agents, retention of tasks, and the supervision of all.

pub(crate) mod agent_liveness;
pub(crate) mod retention;
pub(crate) mod supervisor;
