//! The database file: how an address names it, how it is made, and its connections.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use sutazai_core::ports::SystemClock;
use sutazai_core::{Error, Result};

use super::agent_store::SqliteAgentStore;
use super::api_key_store::SqliteApiKeyStore;
use super::conversation_store::SqliteConversationStore;
use super::document_store::SqliteDocumentStore;
use super::fault::Fault;
use super::identity_store::SqliteIdentityStore;
use super::metric_store::SqliteMetricStore;
use super::relay_store::SqliteRelayStore;
use super::schedule_store::SqliteScheduleStore;
use super::schema::migrate_up;
use super::statement::connect_options;
use super::task_store::SqliteTaskStore;
use super::writer::Writer;
use crate::Stores;
use crate::traced::TracedDatabase;

/// So many reads run at once.
const READERS: u32 = 4;

/// One database: the writer and the readers of its file. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Database {
    path: Arc<Path>,
    readers: SqlitePool,
    writer: Writer,
}

impl Database {
    async fn open(path: &Path) -> Result<Self> {
        let writer = Writer::start(path).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(connect_options(path).read_only(true))
            .await
            .map_err(|e| Fault::from(e).into_error(path))?;
        Ok(Self { path: path.into(), readers, writer })
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Connections that only read.
    pub(super) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// The one that writes.
    pub(super) fn writer(&self) -> &Writer {
        &self.writer
    }
}

/// The stores of the database at `path`; makes it and brings its schema up to date.
pub(crate) async fn open(path: &Path) -> Result<Stores> {
    migrate_up(path).await?;
    let database = Database::open(path).await?;
    Ok(Stores {
        tasks: Arc::new(SqliteTaskStore::new(database.clone())),
        identity: Arc::new(SqliteIdentityStore::new(database.clone())),
        api_keys: Arc::new(SqliteApiKeyStore::new(database.clone())),
        conversations: Arc::new(SqliteConversationStore::new(database.clone())),
        documents: Arc::new(SqliteDocumentStore::new(database.clone())),
        schedules: Arc::new(SqliteScheduleStore::new(database.clone())),
        metrics: Arc::new(SqliteMetricStore::new(database.clone())),
        agents: Arc::new(SqliteAgentStore::new(database.clone())),
        relays: Arc::new(SqliteRelayStore::new(database)),
        clock: Arc::new(SystemClock),
    })
}

/// As traces name the database at `path`.
pub(crate) fn traced(path: &Path) -> TracedDatabase {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    TracedDatabase::new("sqlite", name, None)
}

/// The file that `sqlite:///absolute/path.db` names.
///
/// # Errors
/// `InvalidInput` for a path that is not absolute, names no file, or carries options.
pub(crate) fn path(url: &str) -> Result<PathBuf> {
    let path = url.strip_prefix("sqlite://").unwrap_or(url);
    let names_a_file = path.starts_with('/') && !path.ends_with('/') && !path.contains(['?', '#']);
    if names_a_file {
        return Ok(PathBuf::from(path));
    }
    Err(Error::invalid(
        "DATABASE_URL",
        format!("expected the absolute path of a file, as in sqlite:///absolute/path.db, got {url:?}"),
    ))
}

/// Makes the file and its directory for this user only, where they are missing.
pub(super) fn make(path: &Path) -> Result<()> {
    let unavailable = |e: std::io::Error| {
        Error::unavailable(format!("the database {} cannot be opened: {e}", path.display())).with_source(e)
    };
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(unavailable)?;
    }
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(unavailable)?;
    Ok(())
}
