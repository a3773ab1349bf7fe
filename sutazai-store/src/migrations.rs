//! The schema, step by step: forward, back, and where a database stands.
//!
//! The scripts are built into the program. Each step runs in a transaction of its own together with the new
//! schema version, so a step is there whole or not at all.

use sutazai_core::Result;

use crate::{not_built, scheme};

/// One step of the schema in one dialect: its name, the script there and the script back.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
}

/// The step after whose script the program indexes the words of all documents: SQL knows no rules of words.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) const WORDS_STEP: &str = "words";

/// The steps in the dialect of a folder under `migrations/`, in order; the first is version 1: those that both have, then
/// its own. Only ever append.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
macro_rules! steps {
    ($dialect:literal, [$($own_file:literal $own_name:literal),*]) => {
        $crate::migrations::steps!(
            $dialect:
            "0001" "identity",
            "0002" "tasks",
            "0003" "metrics",
            "0004" "access",
            "0005" "feed",
            "0006" "trace",
            "0007" "conversations",
            "0008" "key_limits",
            "0009" "unique_keys",
            "0010" "turns",
            "0011" "schedules",
            "0012" "retention",
            "0013" "relay"
            $(, $own_file $own_name)*
        )
    };
    ($dialect:literal: $($file:literal $name:literal),*) => {
        &[$($crate::migrations::Step {
            name: $name,
            up: include_str!(concat!("../../migrations/", $dialect, "/", $file, "_", $name, ".up.sql")),
            down: include_str!(concat!("../../migrations/", $dialect, "/", $file, "_", $name, ".down.sql")),
        }),*]
    };
}
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use steps;

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
