//! Connections of a database file, and calls over them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{SqliteConnection, SqlitePool};
use sutazai_core::Result;

use super::error::{StoreError, StoreResult};
use super::statement::connect_options;
use super::writer::Writer;
use crate::detached::{detached, unless_abandoned};
use crate::spans::{DatabaseSpans, Operation};

/// Number of connections for reads.
const READ_CONNECTIONS: u32 = 4;
/// Connections for searches, which may take seconds: with their own, other reads never wait for one.
const SEARCH_CONNECTIONS: u32 = 4;
/// Timeout of a search once it has a connection, and of its wait for one.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Instructions of SQLite's virtual machine between two checks of the timeout: some 10 µs.
const TIMEOUT_CHECK_INTERVAL: i32 = 1_000;

/// One database: the writer and the readers of its file. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Database {
    path: Arc<Path>,
    readers: SqlitePool,
    searchers: SqlitePool,
    writer: Writer,
    spans: DatabaseSpans,
}

impl Database {
    /// Opens the database at `path`, whose schema is up to date.
    pub(super) async fn open(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let spans = DatabaseSpans::new("sqlite", name, None);
        let writer = Writer::start(path, spans.clone()).await?;
        let options = connect_options(path).read_only(true);
        let readers = SqlitePoolOptions::new()
            .max_connections(READ_CONNECTIONS)
            .connect_with(options.clone())
            .await
            .map_err(|e| StoreError::from(e).into_error(path))?;
        let searchers = SqlitePoolOptions::new()
            .max_connections(SEARCH_CONNECTIONS)
            .acquire_timeout(SEARCH_TIMEOUT)
            .connect_lazy_with(options);
        Ok(Self { path: path.into(), readers, searchers, writer, spans })
    }

    /// Runs statements that only read, on one connection and in a task of its own.
    pub(super) async fn read<A, T, F>(&self, operation: Operation, input: A, work: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection, &'c A) -> BoxFuture<'c, StoreResult<T>> + Send + 'static,
    {
        let database = self.clone();
        let call = detached(move |abandoned| async move {
            let error = |fault: StoreError| fault.into_error(&database.path);
            let connection = async { database.readers.acquire().await.map_err(|e| error(e.into())) };
            let mut connection = unless_abandoned(&abandoned, connection).await?;
            work(&mut connection, &input).await.map_err(error)
        });
        self.spans.traced(operation, call).await
    }

    /// Runs a search on a connection that other reads do not use; it is interrupted after 5 s.
    pub(super) async fn search<A, T, F>(&self, operation: Operation, input: A, work: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection, &'c A) -> BoxFuture<'c, StoreResult<T>> + Send + 'static,
    {
        let database = self.clone();
        let call = detached(move |abandoned| async move {
            let error = |fault: StoreError| fault.into_error(&database.path);
            let connection = async { database.searchers.acquire().await.map_err(|e| error(e.into())) };
            let mut connection = unless_abandoned(&abandoned, connection).await?;
            limited(&mut connection, SEARCH_TIMEOUT, |connection| work(connection, &input))
                .await
                .map_err(error)
        });
        self.spans.traced(operation, call).await
    }

    /// Returns the handle of the writing thread.
    pub(super) fn writer(&self) -> &Writer {
        &self.writer
    }
}

/// Runs statements that fail once they have taken longer than `limit` together. A timeout around the future
/// would not be enough: dropping it does not stop the statement, which runs on in the thread of the
/// connection.
async fn limited<'c, T>(
    connection: &'c mut SqliteConnection,
    limit: Duration,
    work: impl FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, StoreResult<T>>,
) -> StoreResult<T> {
    let begun = Instant::now();
    connection
        .lock_handle()
        .await?
        .set_progress_handler(TIMEOUT_CHECK_INTERVAL, move || begun.elapsed() < limit);
    // The handler is not removed afterwards: the next search on this connection replaces it.
    work(connection).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::schema::migrate_up;
    use crate::tables::DOCUMENTS;
    use sqlx::Connection;
    use sutazai_core::ErrorKind;

    async fn endless(connection: &mut SqliteConnection) -> StoreResult<()> {
        const ENDLESS: &str =
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        Ok(sqlx::query(ENDLESS).fetch_one(connection).await.map(drop)?)
    }

    async fn quick(connection: &mut SqliteConnection) -> StoreResult<()> {
        Ok(sqlx::query("SELECT 1").fetch_one(connection).await.map(drop)?)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn searches_leave_reads_their_connections() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("searches.db");
        migrate_up(&path).await.unwrap();
        let database = Database::open(&path).await.unwrap();
        let searches: Vec<_> = (0..2 * SEARCH_CONNECTIONS)
            .map(|_| {
                let database = database.clone();
                tokio::spawn(async move {
                    database
                        .search(DOCUMENTS.select(), (), |connection, ()| Box::pin(endless(connection)))
                        .await
                })
            })
            .collect();
        for _ in 0..20 {
            let read = database.read(DOCUMENTS.select(), (), |connection, ()| Box::pin(quick(connection)));
            tokio::time::timeout(Duration::from_secs(2), read)
                .await
                .expect("a read must not wait for searches")
                .unwrap();
        }
        assert!(searches.iter().all(|search| !search.is_finished()), "the searches must outlast the reads");
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
