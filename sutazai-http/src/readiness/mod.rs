//! Readiness: whether the server can serve requests. Each dependency is checked within its own time limit.
//!
//! * `report`: the public result, therefore without addresses and without error texts of other systems,
//! * `checks`: the checks, and [`Readiness`], which caches their result for 1 second.

mod checks;
mod report;

pub(crate) use checks::Readiness;
pub(crate) use report::{HealthStatus, ReadinessCheck, ReadinessReport};
