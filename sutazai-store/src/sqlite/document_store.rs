//! [`DocumentStore`] in an SQLite database.
//!
//! The words of chunks are in a table of FTS5 (<https://www.sqlite.org/fts5.html>). Each begins with its
//! owner, so that a search reads nothing of other owners. A trigger deletes the words of a deleted chunk. A
//! document is written in several transactions, so that other writes run in between, and is hidden until it
//! is complete.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::TimeDelta;
use data_encoding::HEXLOWER;
use sqlx::sqlite::SqliteRow;
use sqlx::{Arguments, Row, SqliteConnection};
use sutazai_core::adapter::tokenizer::{score, terms_to_find, weight, words};
use sutazai_core::domain::{
    Chunk, Document, DocumentId, DocumentQuota, Page, PageRequest, Passage, PassageQuery, UserId, quota,
};
use sutazai_core::ports::{Clock, DocumentStore, SystemClock};
use sutazai_core::{Error, ErrorKind, Result};
use uuid::Uuid;

use super::columns::{bind, bound, insert as insert_into, insert_many};
use super::database::Database;
use super::error::StoreResult;
use super::keyset::{Keyset, Order};
use super::statement::{bulk, nanos};
use super::writer::Transaction;
use crate::columns::{Entity, chunk_columns, decode, document_columns};
use crate::detached::detached;
use crate::tables::{CHUNKS, DOCUMENTS};

const INSERT_WORDS: &str = "INSERT INTO chunk_words (rowid, words) VALUES";
/// Chunks that one transaction adds or removes at most: some ten milliseconds, in which no other write runs.
const CHUNK_BATCH_SIZE: usize = 100;
/// Age at which an incomplete document counts as abandoned: its upload or removal was interrupted.
const ABANDONED_AFTER: TimeDelta = TimeDelta::minutes(5);
/// Longest wait of an upload for another one with the same key, and the interval of its checks.
const UPLOAD_WAIT_TIMEOUT: Duration = Duration::from_secs(20);
const UPLOAD_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Documents and their chunks in an SQLite file.
#[derive(Debug)]
pub(super) struct SqliteDocumentStore {
    database: Database,
}

impl SqliteDocumentStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl DocumentStore for SqliteDocumentStore {
    async fn add_within(
        &self,
        document: &Document,
        chunks: Vec<Chunk>,
        quota: Option<DocumentQuota>,
    ) -> Result<Document> {
        let (database, document) = (self.database.clone(), document.clone());
        // Continues even if the caller is dropped, so that no incomplete document is left.
        detached(move |_| async move {
            let (id, owner) = (document.id, document.owner);
            let started = Instant::now();
            loop {
                let begun = document.clone();
                match database
                    .writer()
                    .run(DOCUMENTS.insert(), move |tx| Box::pin(begin(tx, begun, quota)))
                    .await?
                {
                    Begun::New => break,
                    Begun::Known(known) => return Ok(known),
                    Begun::Abandoned(left) => remove(&database, left).await?,
                    Begun::UnderWay if started.elapsed() < UPLOAD_WAIT_TIMEOUT => {
                        SystemClock.sleep(UPLOAD_POLL_INTERVAL).await
                    }
                    Begun::UnderWay => {
                        return Err(Error::new(
                            ErrorKind::Busy,
                            "another upload with this key is in progress",
                        ));
                    }
                }
            }
            let shown = match add_chunks(&database, owner, chunks).await {
                Ok(()) => {
                    database.writer().run(DOCUMENTS.update(), move |tx| Box::pin(show(tx, document))).await
                }
                Err(e) => Err(e),
            };
            if shown.is_err() {
                // A document that cannot be removed now is removed when the database is opened again.
                let _ = remove(&database, id).await;
            }
            shown
        })
        .await
    }

    async fn get(&self, id: DocumentId) -> Result<Option<Document>> {
        self.database.read(DOCUMENTS.select(), id, |connection, id| Box::pin(get(connection, *id))).await
    }

    async fn list(
        &self,
        owner: Option<UserId>,
        page: PageRequest<DocumentId>,
    ) -> Result<Page<Document, DocumentId>> {
        self.database
            .read(DOCUMENTS.select(), (owner, page), |connection, asked| Box::pin(list(connection, *asked)))
            .await
    }

    async fn rename(&self, id: DocumentId, title: &str) -> Result<()> {
        let title = title.to_owned();
        self.database.writer().run(DOCUMENTS.update(), move |tx| Box::pin(rename(tx, id, title))).await
    }

    async fn chunks(&self, document: DocumentId, from: u32, limit: u32) -> Result<Vec<Chunk>> {
        self.database
            .read(CHUNKS.select(), document, move |connection, document| {
                Box::pin(chunks(connection, *document, from, limit))
            })
            .await
    }

    async fn search(&self, query: &PassageQuery) -> Result<Vec<Passage>> {
        self.database
            .search(CHUNKS.select(), query.clone(), |connection, query| Box::pin(search(connection, query)))
            .await
    }

    async fn delete(&self, id: DocumentId) -> Result<()> {
        let database = self.database.clone();
        detached(move |_| async move {
            database.writer().run(DOCUMENTS.update(), move |tx| Box::pin(hide(tx, id))).await?;
            remove(&database, id).await
        })
        .await
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        let (database, mut removed) = (self.database.clone(), 0);
        detached(move |_| async move {
            loop {
                let next = database
                    .read(DOCUMENTS.select(), owner, |connection, owner| Box::pin(one_of(connection, *owner)))
                    .await?;
                let Some(id) = next else { return Ok(removed) };
                remove(&database, id).await?;
                removed += 1;
            }
        })
        .await
    }
}

/// Removes documents whose upload or removal was interrupted by the end of a process.
///
/// # Errors
/// Those of the database.
pub(super) async fn remove_incomplete(database: &Database) -> Result<()> {
    let before = nanos(SystemClock.now() - ABANDONED_AFTER);
    let abandoned = database
        .read(DOCUMENTS.select(), before, |connection, before| Box::pin(incomplete(connection, *before)));
    for id in abandoned.await? {
        remove(database, id).await?;
    }
    Ok(())
}

async fn get(connection: &mut SqliteConnection, id: DocumentId) -> StoreResult<Option<Document>> {
    const BY_ID: &str = concat!("SELECT ", document_columns!(), " FROM documents WHERE id = ? AND complete");
    let row = sqlx::query(BY_ID).bind(id.0).fetch_optional(&mut *connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn list(
    connection: &mut SqliteConnection,
    (owner, page): (Option<UserId>, PageRequest<DocumentId>),
) -> StoreResult<Page<Document, DocumentId>> {
    const LIST: Keyset = Keyset {
        table: "documents",
        columns: document_columns!(),
        key: "id",
        order: Order::Descending,
        content: &["title"],
        has_large_rows: false,
    };
    let mut sql = LIST.select();
    sql.push(" AND complete");
    if let Some(owner) = owner {
        sql.push(" AND owner = ").push_bind(owner.0);
    }
    let asked = (page.cursor.map(|id| id.0), page.limit.get());
    LIST.page(connection, sql, asked, decode, |document: &Document| Some(document.id)).await
}

async fn chunks(
    connection: &mut SqliteConnection,
    document: DocumentId,
    from: u32,
    limit: u32,
) -> StoreResult<Vec<Chunk>> {
    const IN_ORDER: &str = concat!(
        "SELECT ",
        chunk_columns!(),
        " FROM chunks WHERE document_id = ? AND number >= ? ORDER BY number LIMIT ? + 0"
    );
    let rows =
        sqlx::query(IN_ORDER).bind(document.0).bind(from).bind(limit).fetch_all(&mut *connection).await?;
    rows.iter().map(decode).collect()
}

async fn search(connection: &mut SqliteConnection, query: &PassageQuery) -> StoreResult<Vec<Passage>> {
    // `CROSS JOIN` fixes the order, from the words over the index to the chunks. A plan that began with the
    // documents would search the index for each of their chunks.
    const BEST: &str = concat!(
        "SELECT ",
        chunk_columns!(),
        ", documents.title, best.worth FROM ( \
            SELECT chunks.id, sum(wanted.value ->> 1) AS worth, round(sum(found.rank), 12) AS closeness \
            FROM json_each(?1) AS wanted CROSS JOIN chunk_words(wanted.value ->> 0) AS found \
                CROSS JOIN chunks ON chunks.id = found.rowid \
                CROSS JOIN documents ON documents.id = chunks.document_id \
            WHERE documents.owner IS ?2 AND documents.complete GROUP BY chunks.id \
            ORDER BY worth DESC, closeness, chunks.document_id DESC, chunks.number LIMIT ?3 + 0 \
        ) AS best JOIN chunks ON chunks.id = best.id JOIN documents ON documents.id = chunks.document_id \
        ORDER BY best.worth DESC, best.closeness, chunks.document_id DESC, chunks.number"
    );
    let owner = query.owner.map(|owner| owner.0);
    let words: Vec<String> =
        terms_to_find(&query.text).iter().map(|term| format!("\"{}\"", tokens(query.owner, term))).collect();
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let weights = weights(connection, query.owner, &words).await?;
    let wanted: Vec<(&String, i64)> = words.iter().zip(weights).collect();
    let rows = sqlx::query(BEST)
        .bind(serde_json::to_string(&wanted)?)
        .bind(owner)
        .bind(query.limit)
        .fetch_all(&mut *connection)
        .await?;
    let passage = |row: &SqliteRow| {
        let (title, score) = (row.try_get("title")?, score(row.try_get("worth")?));
        Ok(Passage { chunk: decode(row)?, title, score })
    };
    rows.iter().map(passage).collect()
}

/// Returns the weight of each of these FTS5 phrases among this owner's chunks.
async fn weights(
    connection: &mut SqliteConnection,
    owner: Option<UserId>,
    words: &[String],
) -> StoreResult<Vec<i64>> {
    const ALL: &str = "SELECT coalesce(sum(chunks), 0) FROM documents WHERE owner IS ? AND complete";
    const WITH: &str = "\
        SELECT wanted.key AS place, count(*) AS chunks FROM json_each(?1) AS wanted CROSS JOIN chunk_words(wanted.value) AS found \
            CROSS JOIN chunks ON chunks.id = found.rowid \
            CROSS JOIN documents ON documents.id = chunks.document_id \
        WHERE documents.owner IS ?2 AND documents.complete GROUP BY wanted.key";
    let owner = owner.map(|owner| owner.0);
    let all: i64 = sqlx::query(ALL).bind(owner).fetch_one(&mut *connection).await?.try_get(0)?;
    let rows =
        sqlx::query(WITH).bind(serde_json::to_string(words)?).bind(owner).fetch_all(&mut *connection).await?;
    let mut with = vec![0; words.len()];
    for row in &rows {
        if let Some(with) = with.get_mut(row.try_get::<u32, _>("place")? as usize) {
            *with = row.try_get::<i64, _>("chunks")?;
        }
    }
    Ok(with.into_iter().map(|with| weight(all.unsigned_abs(), with.unsigned_abs())).collect())
}

/// State of an upload when its document is to be added.
enum Begun {
    /// No document has the key: a row was added.
    New,
    /// A complete document has the same key.
    Known(Document),
    /// Another upload with the same key is writing its chunks.
    UnderWay,
    /// An abandoned document has the same key.
    Abandoned(DocumentId),
}

/// Adds the document without its chunks, as incomplete.
async fn begin(tx: &mut Transaction, document: Document, quota: Option<DocumentQuota>) -> StoreResult<Begun> {
    static INSERT: LazyLock<String> =
        LazyLock::new(|| insert_into::<Document>("documents", &["begun_at", "complete"]));
    let now = SystemClock.now();
    match with_key(tx, &document).await? {
        Some((known, None)) => return Ok(Begun::Known(known.asked_for_again(&document)?)),
        Some((left, Some(begun_at))) if begun_at < nanos(now - ABANDONED_AFTER) => {
            return Ok(Begun::Abandoned(left.id));
        }
        Some(_) => return Ok(Begun::UnderWay),
        None => {}
    }
    if let (Some(quota), Some(owner)) = (quota, document.owner) {
        check(tx, owner, document.size_bytes, quota).await?;
    }
    let insert = sqlx::query_with(INSERT.as_str(), bound(&document)?).bind(nanos(now)).bind(false);
    insert.execute(&mut tx.connection).await?;
    Ok(Begun::New)
}

/// Adds the chunks in several transactions, so that other writes run in between.
async fn add_chunks(database: &Database, owner: Option<UserId>, mut chunks: Vec<Chunk>) -> Result<()> {
    while !chunks.is_empty() {
        let later = chunks.split_off(chunks.len().min(CHUNK_BATCH_SIZE));
        let now = std::mem::replace(&mut chunks, later);
        database.writer().run(CHUNKS.insert(), move |tx| Box::pin(insert(tx, owner, now))).await?;
    }
    Ok(())
}

async fn insert(tx: &mut Transaction, owner: Option<UserId>, chunks: Vec<Chunk>) -> StoreResult<()> {
    static INSERT_CHUNKS: LazyLock<String> = LazyLock::new(|| insert_many::<Chunk>("chunks"));
    let insert = (INSERT_CHUNKS.as_str(), Chunk::COLUMNS.len(), "RETURNING id, number");
    let added =
        bulk(&mut tx.connection, insert, &chunks, |chunk, to| bind(to, Chunk::COLUMNS, chunk)).await?;
    let ids = added.iter().map(|row| Ok((row.try_get("number")?, row.try_get("id")?)));
    let ids = ids.collect::<StoreResult<HashMap<u32, i64>>>()?;
    bulk(&mut tx.connection, (INSERT_WORDS, 2, ""), &chunks, |chunk, to| {
        to.add(ids.get(&chunk.index).copied())?;
        to.add(tokens(owner, &words(&chunk.text).collect::<Vec<_>>()))?;
        Ok(())
    })
    .await?;
    Ok(())
}

/// Returns the owner's document that was uploaded with the same key, and the time at which it was begun if it
/// is incomplete.
async fn with_key(tx: &mut Transaction, document: &Document) -> StoreResult<Option<(Document, Option<i64>)>> {
    const WITH_KEY: &str = concat!(
        "SELECT ",
        document_columns!(),
        ", iif(complete, NULL, begun_at) AS begun_at FROM documents WHERE ifnull(owner, x'') = ifnull(?, x'') AND upload_key = ?"
    );
    let Some(upload) = &document.upload_key else { return Ok(None) };
    let known = sqlx::query(WITH_KEY).bind(document.owner.map(|owner| owner.0)).bind(&upload.key);
    let row = known.fetch_optional(&mut tx.connection).await?;
    row.map(|row| Ok((decode(&row)?, row.try_get("begun_at")?))).transpose()
}

/// Marks the document as complete, which makes it visible.
///
/// # Errors
/// `NotFound` when it was deleted in the meantime.
async fn show(tx: &mut Transaction, document: Document) -> StoreResult<Document> {
    // Its user may have been deleted in the meantime, and the document with them.
    const SHOW: &str = "UPDATE documents SET complete = 1 WHERE id = ?";
    let shown = sqlx::query(SHOW).bind(document.id.0).execute(&mut tx.connection).await?;
    if shown.rows_affected() == 0 {
        Err(Error::not_found(format!("document {}", document.id)))?;
    }
    Ok(document)
}

/// Returns an error if a document of this size exceeds the owner's quota.
async fn check(tx: &mut Transaction, owner: UserId, size: u64, quota: DocumentQuota) -> StoreResult<()> {
    const KEPT: &str =
        "SELECT count(*) AS count, ifnull(sum(size_bytes), 0) AS bytes FROM documents WHERE owner = ?";
    let kept = sqlx::query(KEPT).bind(owner.0).fetch_one(&mut tx.connection).await?;
    if kept.try_get::<u32, _>("count")? >= quota.documents {
        Err(quota::too_many("documents", quota.documents))?;
    }
    if kept.try_get::<i64, _>("bytes")?.unsigned_abs() + size > quota.bytes {
        Err(quota::too_large(&quota))?;
    }
    Ok(())
}

async fn rename(tx: &mut Transaction, id: DocumentId, title: String) -> StoreResult<()> {
    const RENAME: &str = "UPDATE documents SET title = ? WHERE id = ? AND complete";
    let done = sqlx::query(RENAME).bind(title).bind(id.0).execute(&mut tx.connection).await?;
    if done.rows_affected() == 0 {
        Err(Error::not_found(format!("document {id}")))?;
    }
    Ok(())
}

/// Hides a document before its chunks are removed.
async fn hide(tx: &mut Transaction, id: DocumentId) -> StoreResult<()> {
    const HIDE: &str = "\
        UPDATE documents SET complete = 0, begun_at = ?, upload_key = NULL, upload_digest = NULL \
        WHERE id = ? AND complete";
    let done =
        sqlx::query(HIDE).bind(nanos(SystemClock.now())).bind(id.0).execute(&mut tx.connection).await?;
    if done.rows_affected() == 0 {
        Err(Error::not_found(format!("document {id}")))?;
    }
    Ok(())
}

/// Removes a document and its chunks in several transactions, so that other writes run in between.
async fn remove(database: &Database, id: DocumentId) -> Result<()> {
    loop {
        let removed =
            database.writer().run(CHUNKS.delete(), move |tx| Box::pin(remove_chunks(tx, id))).await?;
        if removed < CHUNK_BATCH_SIZE as u64 {
            break;
        }
    }
    database.writer().run(DOCUMENTS.delete(), move |tx| Box::pin(remove_document(tx, id))).await
}

async fn remove_chunks(tx: &mut Transaction, id: DocumentId) -> StoreResult<u64> {
    const DELETE: &str =
        "DELETE FROM chunks WHERE id IN (SELECT id FROM chunks WHERE document_id = ? LIMIT ? + 0)";
    let delete = sqlx::query(DELETE).bind(id.0).bind(CHUNK_BATCH_SIZE as i64);
    Ok(delete.execute(&mut tx.connection).await?.rows_affected())
}

async fn remove_document(tx: &mut Transaction, id: DocumentId) -> StoreResult<()> {
    sqlx::query("DELETE FROM documents WHERE id = ?").bind(id.0).execute(&mut tx.connection).await?;
    Ok(())
}

/// Returns a document of this owner, complete or not.
async fn one_of(connection: &mut SqliteConnection, owner: UserId) -> StoreResult<Option<DocumentId>> {
    let found = sqlx::query("SELECT id FROM documents WHERE owner = ? LIMIT 1").bind(owner.0);
    let row = found.fetch_optional(connection).await?;
    row.map(|row| Ok(DocumentId(row.try_get(0)?))).transpose()
}

/// Returns the documents that are incomplete and were begun before this time.
async fn incomplete(connection: &mut SqliteConnection, before: i64) -> StoreResult<Vec<DocumentId>> {
    let found = sqlx::query("SELECT id FROM documents WHERE NOT complete AND begun_at < ?").bind(before);
    let rows = found.fetch_all(connection).await?;
    rows.iter().map(|row| Ok(DocumentId(row.try_get(0)?))).collect()
}

/// Formats words as tokens of FTS5.
///
/// Each token begins with the owner, so that owners share no tokens. The tokenizer of FTS5 knows only the
/// letters of an old version of Unicode and would split words at others, so it gets only ASCII: `a` and the
/// word, or `u` and the hexadecimal UTF-8 bytes of a word with other characters.
fn tokens(owner: Option<UserId>, words: &[String]) -> String {
    let owner = owner.map_or(Uuid::nil(), |owner| owner.0).simple();
    let mut tokens = String::new();
    for word in words {
        // Writing to a `String` cannot fail.
        let _ = match word.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            true => write!(tokens, "{owner}a{word} "),
            false => write!(tokens, "{owner}u{} ", HEXLOWER.encode(word.as_bytes())),
        };
    }
    tokens
}

/// Indexes the words of all chunks; a migration calls it when the tokenizer has changed. The index must be
/// empty.
pub(super) async fn index_all(connection: &mut SqliteConnection) -> StoreResult<()> {
    const PAGE: &str = "\
        SELECT chunks.id AS id, documents.owner AS owner, chunks.text AS text FROM chunks \
            JOIN documents ON documents.id = chunks.document_id \
        WHERE chunks.id > ? ORDER BY chunks.id LIMIT 500";
    let mut last = i64::MIN;
    loop {
        let rows = sqlx::query(PAGE).bind(last).fetch_all(&mut *connection).await?;
        let Some(row) = rows.last() else { return Ok(()) };
        last = row.try_get("id")?;
        let indexed = |row: &SqliteRow| -> StoreResult<(i64, String)> {
            let words: Vec<String> = words(row.try_get("text")?).collect();
            let owner = row.try_get::<Option<_>, _>("owner")?.map(UserId);
            Ok((row.try_get("id")?, tokens(owner, &words)))
        };
        let indexed = rows.iter().map(indexed).collect::<StoreResult<Vec<_>>>()?;
        bulk(&mut *connection, (INSERT_WORDS, 2, ""), &indexed, |(id, tokens), to| {
            to.add(*id)?;
            to.add(tokens.as_str())?;
            Ok(())
        })
        .await?;
    }
}
