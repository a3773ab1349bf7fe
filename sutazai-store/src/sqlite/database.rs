//! The database file: how an address names it, how it is made, and its connections.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{SqliteConnection, SqlitePool};
use sutazai_core::ports::SystemClock;
use sutazai_core::{Error, Result};

use super::agent_store::SqliteAgentStore;
use super::api_key_store::SqliteApiKeyStore;
use super::conversation_store::SqliteConversationStore;
use super::document_store::{SqliteDocumentStore, remove_incomplete};
use super::fault::{Fault, Outcome};
use super::identity_store::SqliteIdentityStore;
use super::metric_store::SqliteMetricStore;
use super::relay_store::SqliteRelayStore;
use super::schedule_store::SqliteScheduleStore;
use super::schema::migrate_up;
use super::statement::connect_options;
use super::task_store::SqliteTaskStore;
use super::writer::Writer;
use crate::Stores;
use crate::detached::{detached, unless_abandoned};
use crate::traced::TracedDatabase;

/// So many reads run at once.
const READERS: u32 = 4;
/// So many searches run at once, on connections of their own: other reads never wait for one.
const SEARCHERS: u32 = 4;
/// How long a search may take once it has a connection.
const SEARCH_LIMIT: Duration = Duration::from_secs(5);
/// So many instructions of SQLite's machine lie between two looks at the clock: some 10 µs.
const LOOK_AFTER: i32 = 1_000;
/// What has to be free on the disk before a database is opened: the index of its log takes 32 KiB at first, and the first
/// write some pages of the log.
const ROOM_BYTES: usize = 128 << 10;

/// One database: the writer and the readers of its file. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Database {
    path: Arc<Path>,
    readers: SqlitePool,
    searchers: SqlitePool,
    writer: Writer,
}

impl Database {
    async fn open(path: &Path) -> Result<Self> {
        let writer = Writer::start(path).await?;
        let options = connect_options(path).read_only(true);
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.clone())
            .await
            .map_err(|e| Fault::from(e).into_error(path))?;
        let searchers = SqlitePoolOptions::new()
            .max_connections(SEARCHERS)
            .acquire_timeout(SEARCH_LIMIT)
            .connect_lazy_with(options);
        Ok(Self { path: path.into(), readers, searchers, writer })
    }

    /// Runs statements that only read, on one connection and in a task of its own.
    pub(super) async fn read<A, T, F>(&self, input: A, work: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection, &'c A) -> BoxFuture<'c, Outcome<T>> + Send + 'static,
    {
        let database = self.clone();
        detached(move |abandoned| async move {
            let error = |fault: Fault| fault.into_error(&database.path);
            let connection = async { database.readers.acquire().await.map_err(|e| error(e.into())) };
            let mut connection = unless_abandoned(&abandoned, connection).await?;
            work(&mut connection, &input).await.map_err(error)
        })
        .await
    }

    /// Runs statements that search, on a connection that no other reads have. They are interrupted after 5 s.
    pub(super) async fn search<A, T, F>(&self, input: A, work: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection, &'c A) -> BoxFuture<'c, Outcome<T>> + Send + 'static,
    {
        let database = self.clone();
        detached(move |abandoned| async move {
            let error = |fault: Fault| fault.into_error(&database.path);
            let connection = async { database.searchers.acquire().await.map_err(|e| error(e.into())) };
            let mut connection = unless_abandoned(&abandoned, connection).await?;
            limited(&mut connection, SEARCH_LIMIT, |connection| work(connection, &input)).await.map_err(error)
        })
        .await
    }

    /// The one that writes.
    pub(super) fn writer(&self) -> &Writer {
        &self.writer
    }
}

/// Runs statements that end with an error when they take longer than `limit` together. Dropping a call does not end its
/// statement: the thread of the connection works on.
async fn limited<'c, T>(
    connection: &'c mut SqliteConnection,
    limit: Duration,
    work: impl FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Outcome<T>>,
) -> Outcome<T> {
    let begun = Instant::now();
    connection.lock_handle().await?.set_progress_handler(LOOK_AFTER, move || begun.elapsed() < limit);
    // Not taken off afterwards: the next search sets its own.
    work(connection).await
}

/// The stores of the database at `path`; makes it and brings its schema up to date.
pub(crate) async fn open(path: &Path) -> Result<Stores> {
    migrate_up(path).await?;
    // Only now is it known to be a database and not some other file.
    tighten(path)?;
    let database = Database::open(path).await?;
    remove_incomplete(&database).await?;
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
        let detail = format!("{}: {e}", path.display());
        Error::unavailable("the database cannot be opened").with_detail(detail).with_source(e)
    };
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(unavailable)?;
    }
    // Whoever can put a link here would choose which file is written, or whose mode is changed.
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        let detail = format!("{} is a symbolic link, expected the file itself", path.display());
        return Err(Error::unavailable("the database cannot be opened").with_detail(detail));
    }
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(unavailable)?;
    take_room(path)
}

/// Whether the disk has room for the index of the log, which SQLite maps into memory: a page of it for which the file system
/// has no room ends the process with SIGBUS. Room is taken and given back, since only that tells of quotas as well.
fn take_room(path: &Path) -> Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("-room-{}", std::process::id()));
    let taken = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&name)
        .and_then(|mut file| file.write_all(&[1; ROOM_BYTES]));
    // The file is there whether or not all of it was written; an error says that it is not.
    let _ = fs::remove_file(&name);
    match taken {
        Ok(()) => Ok(()),
        // Another start of this process has the file; it finds out.
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => {
            let full = matches!(e.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
            let message =
                if full { "the disk of the database is full" } else { "the database cannot be opened" };
            let detail = format!("{}: {e}", path.display());
            Err(Error::unavailable(message).with_detail(detail).with_source(e))
        }
    }
}

/// Takes the access of others away from a database that is there already, and from the files beside it.
fn tighten(path: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let file = Path::new(&name);
        let Ok(found) = fs::symlink_metadata(file) else { continue };
        if found.permissions().mode() & 0o077 == 0 {
            continue;
        }
        let file = file.display();
        fs::set_permissions(&name, Permissions::from_mode(0o600)).map_err(|e| {
            let detail = format!("others have access to {file}: run `chmod 600 {file}` ({e})");
            Error::unavailable("the database cannot be used").with_detail(detail).with_source(e)
        })?;
        tracing::warn!(%file, "others had access to the database; its mode is 0600 now");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::Connection;
    use sutazai_core::ErrorKind;

    async fn endless(connection: &mut SqliteConnection) -> Outcome<()> {
        const ENDLESS: &str =
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        Ok(sqlx::query(ENDLESS).fetch_one(connection).await.map(drop)?)
    }

    async fn quick(connection: &mut SqliteConnection) -> Outcome<()> {
        Ok(sqlx::query("SELECT 1").fetch_one(connection).await.map(drop)?)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn searches_leave_reads_their_connections() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("searches.db");
        migrate_up(&path).await.unwrap();
        let database = Database::open(&path).await.unwrap();
        let searches: Vec<_> = (0..2 * SEARCHERS)
            .map(|_| {
                let database = database.clone();
                tokio::spawn(async move {
                    database.search((), |connection, ()| Box::pin(endless(connection))).await
                })
            })
            .collect();
        for _ in 0..20 {
            let read = database.read((), |connection, ()| Box::pin(quick(connection)));
            tokio::time::timeout(Duration::from_secs(2), read)
                .await
                .expect("a read waits for searches")
                .unwrap();
        }
        assert!(searches.iter().all(|search| !search.is_finished()), "the searches ran all the time");
        for search in searches {
            let kind = search.await.unwrap().unwrap_err().kind();
            assert!(matches!(kind, ErrorKind::Timeout | ErrorKind::Busy), "{kind:?}");
        }
    }

    #[tokio::test]
    async fn statement_that_takes_too_long_is_interrupted() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let ended =
            limited(&mut connection, Duration::from_millis(20), |connection| Box::pin(endless(connection)));
        let error = ended.await.unwrap_err().into_error(Path::new("/x.db"));
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        let again =
            limited(&mut connection, Duration::from_secs(60), |connection| Box::pin(quick(connection)));
        assert!(again.await.is_ok(), "the connection can be used on");
    }
}
