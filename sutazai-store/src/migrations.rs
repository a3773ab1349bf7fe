//! The schema, step by step: forward, back, and where a database stands.
//!
//! The scripts are built into the program. Each step runs in a transaction of its own together with the new
//! schema version, so a step is there whole or not at all.

use sutazai_core::Result;

use crate::{not_built, scheme};

/// One step of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// 1, 2, 3 ... without gaps.
    pub version: u32,
    /// What it brings.
    pub name: &'static str,
    /// Whether the database has it.
    pub applied: bool,
}

/// Brings the database at `url` up to date, makes an SQLite file if there is none; gives the steps that were taken.
/// Several processes may do so at once: one does it, the others wait.
///
/// # Errors
/// As [`crate::open`].
pub async fn up(url: &str) -> Result<Vec<Migration>> {
    match scheme(url)? {
        #[cfg(feature = "sqlite")]
        "sqlite" => crate::sqlite::migrate_up(&crate::sqlite::path(url)?).await,
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => crate::postgres::migrate_up(url).await,
        other => Err(not_built(other)),
    }
}

/// Takes the latest `steps` back, with all that their tables hold; gives the steps that were taken back.
///
/// # Errors
/// As [`crate::open`].
pub async fn down(url: &str, steps: u32) -> Result<Vec<Migration>> {
    match scheme(url)? {
        #[cfg(feature = "sqlite")]
        "sqlite" => crate::sqlite::migrate_down(&crate::sqlite::path(url)?, steps).await,
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => crate::postgres::migrate_down(url, steps).await,
        other => Err(not_built(other)),
    }
}

/// All steps and whether the database at `url` has them. Changes nothing; an SQLite file that is not there has
/// none.
///
/// # Errors
/// As [`crate::open`].
pub async fn status(url: &str) -> Result<Vec<Migration>> {
    match scheme(url)? {
        #[cfg(feature = "sqlite")]
        "sqlite" => crate::sqlite::migration_status(&crate::sqlite::path(url)?).await,
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => crate::postgres::migration_status(url).await,
        other => Err(not_built(other)),
    }
}
