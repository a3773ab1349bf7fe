//! Readiness: whether the server can serve requests. Each dependency is checked within its own time limit.
//!
//! [`Readiness`] runs the checks and caches their report for 1 second. The report is public, therefore without addresses and
//! without error texts of other systems.

mod checks;

pub(crate) use checks::Readiness;
