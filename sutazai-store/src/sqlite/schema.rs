//! Migrations of the SQLite schema.
//!
//! `PRAGMA user_version`, a number in the header of the file that is part of each transaction, holds the
//! number of applied migrations.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use sutazai_core::{Error, Result};

use super::document_store;
use super::error::{StoreError, StoreResult};
use super::file::make;
use super::statement::connect_options;
use crate::migrations::{Migration, Step, WORDS_STEP, steps};

const STEPS: &[Step] = steps!(
    "sqlite",
    ["0014" "agents", "0015" "agent_messages", "0016" "outbox", "0017" "documents", "0018" "metric_hosts",
     "0019" "owned_words", "0020" "accounts", "0021" "words",
     "0022" "successors", "0023" "overlaps", "0024" "upload_keys", "0025" "document_parts",
     "0026" "message_counts", "0027" "event_log", "0028" "conversation_order"]
);

/// Applies all missing migrations; creates the database if it is missing.
pub(crate) async fn migrate_up(path: &Path) -> Result<Vec<Migration>> {
    make(path)?;
    migrate(path, STEPS.len()).await
}

/// Reverts the latest `steps` migrations.
pub(crate) async fn migrate_down(path: &Path, steps: u32) -> Result<Vec<Migration>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let applied = migration_status(path).await?.iter().filter(|migration| migration.applied).count();
    migrate(path, applied.saturating_sub(steps as usize)).await
}

/// Returns all migrations and whether the database has them.
pub(crate) async fn migration_status(path: &Path) -> Result<Vec<Migration>> {
    let applied = if path.exists() {
        let fail = |fault: StoreError| fault.into_error(path);
        let mut connection = connect(path).await.map_err(fail)?;
        let version = version(&mut connection, path).await.map_err(fail)?;
        connection.close().await.map_err(|e| fail(e.into()))?;
        version
    } else {
        0
    };
    Ok((0..STEPS.len()).map(|index| migration(index, index < applied)).collect())
}

/// Applies or reverts migrations until `target` of them are applied.
async fn migrate(path: &Path, target: usize) -> Result<Vec<Migration>> {
    let fail = |fault: StoreError| fault.into_error(path);
    let mut connection = connect(path).await.map_err(fail)?;
    let mut taken = Vec::new();
    while let Some(migration) = step(&mut connection, path, target).await.map_err(fail)? {
        taken.push(migration);
    }
    connection.close().await.map_err(|e| fail(e.into()))?;
    Ok(taken)
}

/// Runs one migration towards `target` in a transaction; returns `None` when it is reached. Another process
/// may migrate at the same time, so the version is read under the write lock.
async fn step(
    connection: &mut SqliteConnection,
    path: &Path,
    target: usize,
) -> StoreResult<Option<Migration>> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let current = version(&mut transaction, path).await?;
    let (index, next) = match current.cmp(&target) {
        std::cmp::Ordering::Equal => return Ok(None),
        std::cmp::Ordering::Less => (current, current + 1),
        std::cmp::Ordering::Greater => (current - 1, current - 1),
    };
    let script = if next > current { STEPS[index].up } else { STEPS[index].down };
    sqlx::raw_sql(script).execute(&mut *transaction).await?;
    if next > current && STEPS[index].name == WORDS_STEP {
        document_store::index_all(&mut transaction).await?;
    }
    sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA user_version = {next}"))).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(Some(migration(index, next > current)))
}

/// Returns the number of applied migrations.
///
/// # Errors
/// `Conflict` when it is more than this program knows.
async fn version(connection: &mut SqliteConnection, path: &Path) -> StoreResult<usize> {
    let row = sqlx::query("PRAGMA user_version").fetch_one(connection).await?;
    let version = row.try_get::<i64, _>(0)?;
    match usize::try_from(version) {
        Ok(version) if version <= STEPS.len() => Ok(version),
        _ => Err(Error::conflict(format!(
            "the database {} has schema version {version}, but this program knows only {}: a newer one wrote it",
            path.display(),
            STEPS.len()
        )))?,
    }
}

async fn connect(path: &Path) -> StoreResult<SqliteConnection> {
    Ok(SqliteConnection::connect_with(&connect_options(path)).await?)
}

fn migration(index: usize, applied: bool) -> Migration {
    Migration { version: index as u32 + 1, name: STEPS[index].name, applied }
}
