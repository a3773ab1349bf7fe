//! API of the engine for embedders.
//!
//! * `builder`: assembles an engine, `lifecycle`: starts and stops it,
//! * `engine`: reads and changes of tasks, `submit`: submission, `task_handle`: one submitted task,
//! * `registry`: the registered agents with their schemas.

pub(crate) mod builder;
pub(crate) mod engine;
mod lifecycle;
pub(crate) mod registry;
mod submit;
pub(crate) mod task_handle;
