//! Schedules: tasks submitted at the times of cron patterns.
//!
//! * `firing`: determines the due times and submits their tasks,
//! * `service`: operations of callers on their schedules.

mod firing;
mod service;

pub use service::Schedules;
