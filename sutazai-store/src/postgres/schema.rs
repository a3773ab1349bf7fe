//! Migrations of the PostgreSQL schema.
//!
//! A table of one row holds the number of applied migrations. Each migration runs in a transaction under an
//! advisory lock, so that any number of processes may start at once.

use sqlx::{PgConnection, Row};
use sutazai_core::{Error, Result};

use super::database::Database;
use super::document_store;
use super::error::StoreResult;
use super::timeout_class::TimeoutClass;
use super::transaction::Transaction;
use crate::migrations::{Migration, Step, WORDS_STEP, steps};
use crate::tables::SCHEMA;

const STEPS: &[Step] = steps!(
    "postgres",
    [
        "0014" "queue",
        "0015" "agents",
        "0016" "agent_messages",
        "0017" "outbox",
        "0018" "documents",
        "0019" "metric_hosts",
        "0020" "accounts",
        "0021" "words",
        "0022" "successors",
        "0023" "overlaps",
        "0024" "upload_keys",
        "0025" "message_counts",
        "0026" "event_log",
        "0027" "escaped_texts",
        "0028" "conversation_order"
    ]
);

/// Applies all missing migrations to the database at `url`.
pub(crate) async fn migrate_up(url: &str) -> Result<Vec<Migration>> {
    bring_up(&Database::new(url)?).await
}

/// Applies all missing migrations over these connections.
pub(super) async fn bring_up(database: &Database) -> Result<Vec<Migration>> {
    migrate(database, STEPS.len()).await
}

/// Reverts the latest `steps` migrations.
pub(crate) async fn migrate_down(url: &str, steps: u32) -> Result<Vec<Migration>> {
    let database = Database::new(url)?;
    let applied = applied(&database).await?;
    migrate(&database, applied.saturating_sub(steps as usize)).await
}

/// Returns all migrations and whether the database has them.
pub(crate) async fn migration_status(url: &str) -> Result<Vec<Migration>> {
    let applied = applied(&Database::new(url)?).await?;
    Ok((0..STEPS.len()).map(|index| migration(index, index < applied)).collect())
}

async fn applied(database: &Database) -> Result<usize> {
    database.run(SCHEMA.select(), (), |connection, ()| Box::pin(version(connection))).await
}

/// Applies or reverts migrations until `target` of them are applied.
async fn migrate(database: &Database, target: usize) -> Result<Vec<Migration>> {
    let mut taken = Vec::new();
    // A database that is up to date takes no lock, so that servers start while another transaction holds it.
    if applied(database).await? == target {
        return Ok(taken);
    }
    loop {
        let step =
            database.write_within(SCHEMA.update(), TimeoutClass::Migration, target, |transaction, target| {
                Box::pin(step(transaction, *target))
            });
        match step.await? {
            Some(migration) => taken.push(migration),
            None => return Ok(taken),
        }
    }
}

/// Runs one migration towards `target`; returns `None` when it is reached. The version is read under the
/// lock.
async fn step(transaction: &mut Transaction<'_>, target: usize) -> StoreResult<Option<Migration>> {
    // Arbitrary key that other programs are unlikely to use: "sutazai" in ASCII.
    const LOCK: &str = "SELECT pg_advisory_xact_lock(x'00737574617a6169'::bigint)";
    const KEEP: &str = "CREATE TABLE IF NOT EXISTS sutazai_schema (version integer NOT NULL)";
    const FORGET: &str = "DROP TABLE sutazai_schema";
    let connection = &mut *transaction.connection;
    sqlx::raw_sql(LOCK).execute(&mut *connection).await?;
    let current = version(connection).await?;
    let (index, next) = match current.cmp(&target) {
        std::cmp::Ordering::Equal => return Ok(None),
        std::cmp::Ordering::Less => (current, current + 1),
        std::cmp::Ordering::Greater => (current - 1, current - 1),
    };
    let script = if next > current { STEPS[index].up } else { STEPS[index].down };
    sqlx::raw_sql(script).execute(&mut *connection).await?;
    if next > current && STEPS[index].name == WORDS_STEP {
        document_store::index_all(connection).await?;
    }
    sqlx::raw_sql(if next == 0 { FORGET } else { KEEP }).execute(&mut *connection).await?;
    if next > 0 {
        sqlx::raw_sql("DELETE FROM sutazai_schema").execute(&mut *connection).await?;
        let keep = sqlx::query("INSERT INTO sutazai_schema (version) VALUES ($1)").bind(next as i32);
        keep.execute(&mut *connection).await?;
    }
    Ok(Some(migration(index, next > current)))
}

/// Returns the number of applied migrations.
///
/// # Errors
/// `Conflict` when it is more than this program knows.
async fn version(connection: &mut PgConnection) -> StoreResult<usize> {
    // Not `to_regclass`, whose catalog cache may be older than the lock.
    const TABLE_EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM pg_tables \
                         WHERE schemaname = current_schema() AND tablename = 'sutazai_schema')";
    let exists = sqlx::query(TABLE_EXISTS).fetch_one(&mut *connection);
    if !exists.await?.try_get::<bool, _>(0)? {
        return Ok(0);
    }
    let row = sqlx::query("SELECT version FROM sutazai_schema").fetch_one(connection).await?;
    let version = row.try_get::<i32, _>(0)?;
    match usize::try_from(version) {
        Ok(version) if version <= STEPS.len() => Ok(version),
        _ => Err(Error::conflict(format!(
            "the database has schema version {version}, but this program knows only {}: a newer one wrote it",
            STEPS.len()
        )))?,
    }
}

fn migration(index: usize, applied: bool) -> Migration {
    Migration { version: index as u32 + 1, name: STEPS[index].name, applied }
}
