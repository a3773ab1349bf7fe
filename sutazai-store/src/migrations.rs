//! Schema migrations: applying them, reverting them, and their status.
//!
//! The scripts are compiled into the program. Each migration runs in one transaction together with the new
//! schema version, so it is applied completely or not at all.
//!
//! `sqlx::migrate!` can also apply and revert, but is not used:
//! - It holds a lock of the session (`pg_advisory_lock`), which a PgBouncer in transaction mode assigns to another
//!   client; ours ends with the transaction. On SQLite it has no lock at all.
//! - It takes the lock before it reads the version, so a server whose database is up to date would wait for any other
//!   that migrates; ours reads first.
//! - A migration is SQL only. The step `WORDS_STEP` runs the tokenizer of this program in the same transaction.
//! - It creates its table also for a query of the status, and databases that exist hold their version in ours.

use sutazai_core::Result;

use crate::{not_built, scheme};

/// One migration in one SQL dialect: its name, the script that applies it and the script that reverts it.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
}

/// Name of the migration after which the program indexes the words of all documents: the tokenizer cannot be
/// expressed in SQL.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) const WORDS_STEP: &str = "words";

/// Lists the migrations in the dialect of a folder under `migrations/`, in order: the 13 that both dialects
/// share, then its own. The first one is version 1. Only append: databases store how many they have.
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

/// One schema migration and whether a database has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Version of the schema: 1, 2, 3 ... without gaps.
    pub version: u32,
    /// Short name of what the migration adds.
    pub name: &'static str,
    /// True if the database has this migration.
    pub applied: bool,
}

/// Applies all missing migrations to the database at `url` and returns them. Creates a missing SQLite file.
///
/// Several processes may call this at once: one of them migrates, the others wait.
///
/// # Errors
/// Those of [`crate::open`].
pub async fn up(url: &str) -> Result<Vec<Migration>> {
    match scheme(url)? {
        #[cfg(feature = "sqlite")]
        "sqlite" => crate::sqlite::migrate_up(&crate::sqlite::path(url)?).await,
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => crate::postgres::migrate_up(url).await,
        other => Err(not_built(other)),
    }
}

/// Reverts the latest `steps` migrations, deleting what their tables hold, and returns them.
///
/// # Errors
/// Those of [`crate::open`].
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    expect(unused_variables, reason = "without a store there is nothing to revert")
)]
pub async fn down(url: &str, steps: u32) -> Result<Vec<Migration>> {
    match scheme(url)? {
        #[cfg(feature = "sqlite")]
        "sqlite" => crate::sqlite::migrate_down(&crate::sqlite::path(url)?, steps).await,
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => crate::postgres::migrate_down(url, steps).await,
        other => Err(not_built(other)),
    }
}

/// Returns all migrations and whether the database at `url` has them. Changes nothing; a missing SQLite file
/// has none.
///
/// # Errors
/// Those of [`crate::open`].
pub async fn status(url: &str) -> Result<Vec<Migration>> {
    match scheme(url)? {
        #[cfg(feature = "sqlite")]
        "sqlite" => crate::sqlite::migration_status(&crate::sqlite::path(url)?).await,
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => crate::postgres::migration_status(url).await,
        other => Err(not_built(other)),
    }
}
