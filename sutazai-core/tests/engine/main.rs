//! Engine tests over the memory store, covering every path of a task. Where time matters it is a manual clock; nothing
//! sleeps.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod actor;
mod agent_status;
mod embedding;
mod event_log;
mod faulty_task_store;
mod hand_over;
mod limits;
mod panics;
mod permissions;
mod remembered;
mod requests;
mod retention;
mod running;
mod schedules;
mod stage;
mod stopping;
mod time_travel;
