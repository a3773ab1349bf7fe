//! Schedules: tasks that are asked for by the clock.
//!
//! * `service`: what callers do with them,
//! * `firing`: which times are due, and the tasks for them.

mod firing;
mod service;

pub use service::Schedules;
