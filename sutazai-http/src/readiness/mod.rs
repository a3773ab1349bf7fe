//! Whether the server can do its work: what it needs is tried, each within a time limit of its own.
//!
//! * `report`: what is said of it, for everybody, so without addresses and without words of others' errors,
//! * `checks`: what is tried, and [`Readiness`], which remembers the answer for a moment.

mod checks;
mod report;

pub(crate) use checks::Readiness;
pub(crate) use report::{HealthStatus, ReadinessCheck, ReadinessReport};
