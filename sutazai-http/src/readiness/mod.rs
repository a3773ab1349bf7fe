//! Readiness: whether the server can serve requests. Each dependency is checked within its own time limit.
//!
//! The checks have [`Readiness`], which caches their result for 1 second. The report is public, therefore without addresses
//! and without error texts of other systems.

mod checks;

pub(crate) use checks::Readiness;
