//! [`DocumentStore`] in a PostgreSQL database.
//!
//! The words of chunks are in a column of type `tsvector` with a GIN index
//! (<https://www.postgresql.org/docs/current/textsearch.html>). A word that represents the owner is among
//! them, so that one index search finds only chunks of that owner.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use sutazai_core::adapter::tokenizer::{score, terms_to_find, weight, words};
use sutazai_core::domain::{
    Chunk, Document, DocumentId, DocumentQuota, Page, PageRequest, Passage, PassageQuery, UserId, quota,
};
use sutazai_core::ports::DocumentStore;
use sutazai_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use uuid::Uuid;

use super::columns::{arrays, bound, bound_many, insert, unnested};
use super::database::Database;
use super::error::StoreResult;
use super::keyset::Keyset;
use super::quota::{Counted, lock};
use super::text::{given, kept};
use super::timeout_class::TimeoutClass;
use super::transaction::Transaction;
use crate::columns::{Entity, chunk_columns, decode, document_columns, names};
use crate::detached::{detached, unless_abandoned};
use crate::tables::{CHUNKS, DOCUMENTS};

/// Chunks in one statement: some megabytes together with their words.
const CHUNK_BATCH_SIZE: usize = 1_000;

/// Documents and their chunks in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresDocumentStore {
    database: Database,
    searches: Arc<Semaphore>,
}

/// Concurrent searches: half of the connections stay free for other calls.
const MAX_CONCURRENT_SEARCHES: usize = 4;
/// Longest wait of a search for others to end.
const SEARCH_WAIT_TIMEOUT: Duration = Duration::from_secs(5);

/// PostgreSQL can use a GIN index only by a bitmap scan, which connections have switched off for the queue.
pub(super) const BY_BITMAP: &str = "SET LOCAL enable_bitmapscan = on";
/// Timeout of each statement of a search.
const SET_SEARCH_TIMEOUT: &str = "SET LOCAL statement_timeout = '5s'";

/// The best passages. The density counts how often the words occur; it is summed as `numeric`, so that sums
/// do not depend on their order.
pub(super) const BEST: &str = concat!(
    "SELECT ",
    chunk_columns!(),
    ", documents.title, best.worth FROM ( \
        SELECT chunks.document_id, chunks.number, sum(wanted.weight)::bigint AS worth, \
            sum(ts_rank_cd(chunks.words, wanted.word::tsquery)::numeric) AS density \
        FROM unnest($1::text[], $2::bigint[]) AS wanted (word, weight) \
            JOIN chunks ON chunks.words @@ ($3 || ' & ' || wanted.word)::tsquery \
        GROUP BY chunks.document_id, chunks.number \
        ORDER BY worth DESC, density DESC, chunks.document_id DESC, chunks.number LIMIT $4 \
    ) AS best JOIN chunks USING (document_id, number) JOIN documents ON documents.id = chunks.document_id \
    ORDER BY best.worth DESC, best.density DESC, chunks.document_id DESC, chunks.number"
);

/// Number of the owner's chunks that contain each of the words.
pub(super) const WITH: &str = "\
    SELECT count(chunks.number) FROM unnest($1::text[]) WITH ORDINALITY AS wanted (word, place) \
        LEFT JOIN chunks ON chunks.words @@ ($2 || ' & ' || wanted.word)::tsquery \
    GROUP BY wanted.place ORDER BY wanted.place";

impl PostgresDocumentStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database, searches: Arc::new(Semaphore::new(MAX_CONCURRENT_SEARCHES)) }
    }
}

#[async_trait]
impl DocumentStore for PostgresDocumentStore {
    async fn add_within(
        &self,
        document: &Document,
        chunks: Vec<Chunk>,
        quota: Option<DocumentQuota>,
    ) -> Result<Document> {
        let new = (document.clone(), chunks, quota);
        self.database
            .write_within(DOCUMENTS.insert(), TimeoutClass::Long, new, |tx, new| {
                Box::pin(add_within(tx, &new.0, &new.1, new.2))
            })
            .await
    }

    async fn get(&self, id: DocumentId) -> Result<Option<Document>> {
        self.database.run(DOCUMENTS.select(), id, |connection, id| Box::pin(get(connection, *id))).await
    }

    async fn list(
        &self,
        owner: Option<UserId>,
        page: PageRequest<DocumentId>,
    ) -> Result<Page<Document, DocumentId>> {
        self.database
            .run(DOCUMENTS.select(), (owner, page), |connection, asked| Box::pin(list(connection, *asked)))
            .await
    }

    async fn rename(&self, id: DocumentId, title: &str) -> Result<()> {
        let title = title.to_owned();
        self.database
            .run(DOCUMENTS.update(), title, move |connection, title| Box::pin(rename(connection, id, title)))
            .await
    }

    async fn chunks(&self, document: DocumentId, from: u32, limit: u32) -> Result<Vec<Chunk>> {
        let wanted = (document, i64::from(from), i64::from(limit));
        self.database
            .run(CHUNKS.select(), wanted, |connection, wanted| Box::pin(chunks(connection, *wanted)))
            .await
    }

    async fn search(&self, query: &PassageQuery) -> Result<Vec<Passage>> {
        let (database, searches, query) = (self.database.clone(), self.searches.clone(), query.clone());
        // The permit is held in a task of its own, so that a caller that is not polled does not keep it.
        detached(move |abandoned| async move {
            let busy = || Error::new(ErrorKind::Busy, "too many searches run already");
            let permit = async {
                let permit = timeout(SEARCH_WAIT_TIMEOUT, searches.acquire()).await.map_err(|_| busy())?;
                permit.map_err(|_| busy())
            };
            let _permit = unless_abandoned(&abandoned, permit).await?;
            // A write, since only a transaction can have settings of its own.
            database
                .write_within(CHUNKS.select(), TimeoutClass::Long, query, |tx, query| {
                    Box::pin(search(tx, query))
                })
                .await
        })
        .await
    }

    async fn delete(&self, id: DocumentId) -> Result<()> {
        self.database
            .run_within(DOCUMENTS.delete(), TimeoutClass::Long, id, |connection, id| {
                Box::pin(delete(connection, *id))
            })
            .await
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        self.database
            .run_within(DOCUMENTS.delete(), TimeoutClass::Long, owner, |connection, owner| {
                Box::pin(delete_all(connection, *owner))
            })
            .await
    }
}

async fn add_within(
    transaction: &mut Transaction<'_>,
    document: &Document,
    chunks: &[Chunk],
    quota: Option<DocumentQuota>,
) -> StoreResult<Document> {
    static INSERT: LazyLock<String> = LazyLock::new(|| insert::<Document>("documents", &[]));
    static INSERT_CHUNKS: LazyLock<String> = LazyLock::new(|| {
        let (columns, values) = (names(Chunk::COLUMNS), unnested(Chunk::COLUMNS));
        let (arrays, words) = (arrays(1, Chunk::COLUMNS), Chunk::COLUMNS.len() + 1);
        format!(
            "INSERT INTO chunks ({columns}, words) SELECT {values}, words::tsvector \
             FROM unnest({arrays}, ${words}::text[]) AS new ({columns}, words)"
        )
    });
    let quota = quota.zip(document.owner);
    if let Some((_, owner)) = quota {
        // Locked before the lookup of the key: a concurrent repetition of the upload waits here, and then
        // finds the first one.
        lock(transaction.connection, Counted::Documents, &[owner]).await?;
    }
    if let Some(known) = with_key(transaction.connection, document).await? {
        return Ok(known.asked_for_again(document)?);
    }
    if let Some((quota, owner)) = quota {
        check(transaction.connection, owner, document.size_bytes, quota).await?;
    }
    let insert = sqlx::query_with(INSERT.as_str(), bound(document)?);
    insert.execute(&mut *transaction.connection).await?;
    for group in chunks.chunks(CHUNK_BATCH_SIZE) {
        let group: Vec<&Chunk> = group.iter().collect();
        sqlx::query_with(INSERT_CHUNKS.as_str(), bound_many(&group)?)
            .bind(group.iter().map(|chunk| vector(document.owner, &chunk.text)).collect::<Vec<_>>())
            .execute(&mut *transaction.connection)
            .await?;
    }
    Ok(document.clone())
}

/// Returns the owner's document that was uploaded with the same key. If two are added at once, the unique
/// index rejects the later one, and its transaction is retried.
async fn with_key(connection: &mut PgConnection, document: &Document) -> StoreResult<Option<Document>> {
    const WITH_KEY: &str = concat!(
        "SELECT ",
        document_columns!(),
        " FROM documents WHERE coalesce(owner, '00000000-0000-0000-0000-000000000000') = $1 AND upload_key = $2"
    );
    let Some(upload) = &document.upload_key else { return Ok(None) };
    let owner = document.owner.map_or(Uuid::nil(), |owner| owner.0);
    let known = sqlx::query(WITH_KEY).bind(owner).bind(kept(&upload.key));
    known.fetch_optional(connection).await?.map(|row| decode(&row)).transpose()
}

async fn rename(connection: &mut PgConnection, id: DocumentId, title: &str) -> StoreResult<()> {
    const RENAME: &str = "UPDATE documents SET title = $1 WHERE id = $2";
    let done = sqlx::query(RENAME).bind(kept(title)).bind(id.0).execute(connection).await?;
    if done.rows_affected() == 0 {
        Err(Error::not_found(format!("document {id}")))?;
    }
    Ok(())
}

async fn get(connection: &mut PgConnection, id: DocumentId) -> StoreResult<Option<Document>> {
    const BY_ID: &str = concat!("SELECT ", document_columns!(), " FROM documents WHERE id = $1");
    let row = sqlx::query(BY_ID).bind(id.0).fetch_optional(connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn list(
    connection: &mut PgConnection,
    (owner, page): (Option<UserId>, PageRequest<DocumentId>),
) -> StoreResult<Page<Document, DocumentId>> {
    const LIST: Keyset = Keyset { table: "documents", columns: document_columns!(), content: &["title"] };
    let mut sql = LIST.select();
    if let Some(owner) = owner {
        sql.push(" AND owner = ").push_bind(owner.0);
    }
    let asked = (page.cursor.map(|id| id.0), page.limit.get());
    LIST.page(connection, sql, asked, decode, |document: &Document| Some(document.id)).await
}

async fn chunks(
    connection: &mut PgConnection,
    (document, from, limit): (DocumentId, i64, i64),
) -> StoreResult<Vec<Chunk>> {
    const IN_ORDER: &str = concat!(
        "SELECT ",
        chunk_columns!(),
        " FROM chunks WHERE document_id = $1 AND number >= $2 ORDER BY number LIMIT $3"
    );
    let rows = sqlx::query(IN_ORDER).bind(document.0).bind(from).bind(limit).fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

async fn search(transaction: &mut Transaction<'_>, query: &PassageQuery) -> StoreResult<Vec<Passage>> {
    let words: Vec<String> = terms_to_find(&query.text).iter().map(|term| phrase(term)).collect();
    if words.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::raw_sql(BY_BITMAP).execute(&mut *transaction.connection).await?;
    sqlx::raw_sql(SET_SEARCH_TIMEOUT).execute(&mut *transaction.connection).await?;
    let weights = weights(transaction.connection, query.owner, &words).await?;
    // Not cached: the best plan depends on these words and on the current rows.
    let rows = sqlx::query(BEST)
        .persistent(false)
        .bind(words)
        .bind(weights)
        .bind(of(query.owner))
        .bind(i64::from(query.limit))
        .fetch_all(&mut *transaction.connection)
        .await?;
    let passage = |row: &PgRow| {
        Ok(Passage {
            chunk: decode(row)?,
            title: given(row.try_get("title")?).into_owned(),
            score: score(row.try_get("worth")?),
        })
    };
    rows.iter().map(passage).collect()
}

/// Returns the weight of each of these quoted words among this owner's chunks.
async fn weights(
    connection: &mut PgConnection,
    owner: Option<UserId>,
    words: &[String],
) -> StoreResult<Vec<i64>> {
    const ALL_OF_OWNER: &str = "SELECT coalesce(sum(chunks), 0)::bigint FROM documents WHERE owner = $1";
    const ALL_OF_NOBODY: &str = "SELECT coalesce(sum(chunks), 0)::bigint FROM documents WHERE owner IS NULL";
    let all = match owner {
        Some(owner) => sqlx::query(ALL_OF_OWNER).bind(owner.0),
        None => sqlx::query(ALL_OF_NOBODY),
    };
    let all: i64 = all.fetch_one(&mut *connection).await?.try_get(0)?;
    let rows = sqlx::query(WITH).persistent(false).bind(words).bind(of(owner)).fetch_all(connection).await?;
    let weigh = |row: &PgRow| Ok(weight(all.unsigned_abs(), row.try_get::<i64, _>(0)?.unsigned_abs()));
    rows.iter().map(weigh).collect()
}

/// Rejects a document of this size if it exceeds the owner's quota. The lock keeps other transactions from
/// adding documents of this owner until the end of this one.
async fn check(
    connection: &mut PgConnection,
    owner: UserId,
    size: u64,
    quota: DocumentQuota,
) -> StoreResult<()> {
    const KEPT: &str =
        "SELECT count(*), coalesce(sum(size_bytes), 0)::bigint AS bytes FROM documents WHERE owner = $1";
    let kept = sqlx::query(KEPT).bind(owner.0).fetch_one(connection).await?;
    if kept.try_get::<i64, _>("count")? >= i64::from(quota.documents) {
        Err(quota::too_many("documents", quota.documents))?;
    }
    if kept.try_get::<i64, _>("bytes")?.unsigned_abs() + size > quota.bytes {
        Err(quota::too_large(&quota))?;
    }
    Ok(())
}

async fn delete_all(connection: &mut PgConnection, owner: UserId) -> StoreResult<u64> {
    let delete = sqlx::query("DELETE FROM documents WHERE owner = $1").bind(owner.0);
    Ok(delete.execute(connection).await?.rows_affected())
}

async fn delete(connection: &mut PgConnection, id: DocumentId) -> StoreResult<()> {
    const DELETE: &str = "DELETE FROM documents WHERE id = $1";
    let done = sqlx::query(DELETE).bind(id.0).execute(connection).await?;
    if done.rows_affected() == 0 {
        Err(Error::not_found(format!("document {id}")))?;
    }
    Ok(())
}

/// Formats the words of a chunk with their positions, and its owner, as a `tsvector`.
fn vector(owner: Option<UserId>, text: &str) -> String {
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for (word, place) in words(text).zip(1_u32..) {
        let places = places.entry(quoted(&word)).or_default();
        // Writing to a `String` cannot fail.
        let _ = write!(places, "{}{place}", if places.is_empty() { "" } else { "," });
    }
    let mut vector = of(owner);
    for (word, places) in places {
        let _ = write!(vector, " {word}:{places}");
    }
    vector
}

/// Quotes a word for `tsvector` and `tsquery`. Words contain neither apostrophes nor backslashes.
fn quoted(word: &str) -> String {
    format!("'{word}'")
}

/// Formats consecutive words as a phrase of `tsquery`.
fn phrase(words: &[String]) -> String {
    format!("({})", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" <-> "))
}

/// Recomputes the words of all chunks; a migration calls it when the tokenizer has changed.
pub(super) async fn index_all(connection: &mut PgConnection) -> StoreResult<()> {
    const PAGE: &str = "\
        SELECT chunks.document_id, chunks.number, documents.owner, chunks.text FROM chunks \
            JOIN documents ON documents.id = chunks.document_id \
        WHERE (chunks.document_id, chunks.number) > ($1, $2) \
        ORDER BY chunks.document_id, chunks.number LIMIT $3";
    const UPDATE: &str = "\
        UPDATE chunks SET words = new.words::tsvector \
        FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS new (document_id, number, words) \
        WHERE chunks.document_id = new.document_id AND chunks.number = new.number";
    let mut last = (Uuid::nil(), -1_i64);
    loop {
        let page = sqlx::query(PAGE).bind(last.0).bind(last.1).bind(CHUNK_BATCH_SIZE as i64);
        let rows = page.fetch_all(&mut *connection).await?;
        let Some(row) = rows.last() else { return Ok(()) };
        last = (row.try_get("document_id")?, row.try_get("number")?);
        let (mut documents, mut numbers, mut vectors) = (Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            documents.push(row.try_get::<Uuid, _>("document_id")?);
            numbers.push(row.try_get::<i64, _>("number")?);
            let owner = row.try_get::<Option<_>, _>("owner")?.map(UserId);
            vectors.push(vector(owner, &given(row.try_get("text")?)));
        }
        sqlx::query(UPDATE).bind(documents).bind(numbers).bind(vectors).execute(&mut *connection).await?;
    }
}

/// Formats the word that represents an owner. It cannot be a word of a text, since these have no equals sign.
fn of(owner: Option<UserId>) -> String {
    match owner {
        Some(owner) => format!("'={}'", owner.0.simple()),
        None => "'='".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_is_written_with_the_positions_of_its_words() {
        let owner = UserId::new();
        let expected = format!("'={}' 'and':2 'cats':1,4 'x1':3", owner.0.simple());
        assert_eq!(vector(Some(owner), "Cats' and \\x1: CATS!"), expected);
        assert_eq!(vector(None, "'"), "'='");
        assert_eq!(phrase(&["red".into(), "fox".into()]), "('red' <-> 'fox')");
    }
}
