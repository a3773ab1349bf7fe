//! [`ConversationStore`] in an SQLite database.

use std::sync::LazyLock;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use sutazai_core::domain::{
    Conversation, ConversationCursor, ConversationId, MessageId, MessageQuota, Page, PageRequest,
    StoredMessage, UserId, quota,
};
use sutazai_core::ports::ConversationStore;
use sutazai_core::{Error, Result};

use super::columns::{bound, insert};
use super::database::Database;
use super::error::StoreResult;
use super::statement::nanos;
use super::writer::Transaction;
use crate::columns::{conversation_columns, decode, message_columns};
use crate::tables::{CONVERSATIONS, MESSAGES};

/// Conversations and their messages in an SQLite file.
#[derive(Debug)]
pub(super) struct SqliteConversationStore {
    database: Database,
}

impl SqliteConversationStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl ConversationStore for SqliteConversationStore {
    async fn create_within(&self, conversation: &Conversation, max: Option<u32>) -> Result<()> {
        let conversation = conversation.clone();
        self.database
            .writer()
            .run(CONVERSATIONS.insert(), move |tx| Box::pin(create_within(tx, conversation, max)))
            .await
    }

    async fn get(&self, id: ConversationId) -> Result<Option<Conversation>> {
        self.database.read(CONVERSATIONS.select(), id, |connection, id| Box::pin(get(connection, *id))).await
    }

    async fn list(
        &self,
        owner: Option<UserId>,
        page: PageRequest<ConversationCursor>,
    ) -> Result<Page<Conversation, ConversationCursor>> {
        self.database
            .read(CONVERSATIONS.select(), (owner, page), |connection, asked| {
                Box::pin(list(connection, *asked))
            })
            .await
    }

    async fn rename(&self, id: ConversationId, title: &str) -> Result<()> {
        let title = title.to_owned();
        self.database.writer().run(CONVERSATIONS.update(), move |tx| Box::pin(rename(tx, id, title))).await
    }

    async fn append_within(&self, message: &StoredMessage, quota: Option<MessageQuota>) -> Result<()> {
        let message = message.clone();
        self.database
            .writer()
            .run(MESSAGES.insert(), move |tx| Box::pin(append_within(tx, message, quota)))
            .await
    }

    async fn messages(
        &self,
        conversation: ConversationId,
        before: Option<MessageId>,
        limit: u32,
        max_bytes: u64,
    ) -> Result<Vec<StoredMessage>> {
        self.database
            .read(MESSAGES.select(), conversation, move |connection, conversation| {
                Box::pin(messages(connection, *conversation, before, limit, max_bytes))
            })
            .await
    }

    async fn delete(&self, id: ConversationId) -> Result<()> {
        self.database.writer().run(CONVERSATIONS.delete(), move |tx| Box::pin(delete(tx, id))).await
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        self.database.writer().run(CONVERSATIONS.delete(), move |tx| Box::pin(delete_all(tx, owner))).await
    }
}

async fn get(connection: &mut SqliteConnection, id: ConversationId) -> StoreResult<Option<Conversation>> {
    const BY_ID: &str = concat!("SELECT ", conversation_columns!(), " FROM conversations WHERE id = ?");
    let row = sqlx::query(BY_ID).bind(id.0).fetch_optional(&mut *connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn list(
    connection: &mut SqliteConnection,
    (owner, page): (Option<UserId>, PageRequest<ConversationCursor>),
) -> StoreResult<Page<Conversation, ConversationCursor>> {
    const LIST: &str = concat!("SELECT ", conversation_columns!(), " FROM conversations WHERE true");
    let mut sql = QueryBuilder::<Sqlite>::new(LIST);
    if let Some(owner) = owner {
        sql.push(" AND owner = ").push_bind(owner.0);
    }
    if let Some(ConversationCursor { updated_at, id }) = page.cursor {
        sql.push(" AND (updated_at, id) < (")
            .push_bind(nanos(updated_at))
            .push(", ")
            .push_bind(id.0)
            .push(")");
    }
    // One more row than requested shows whether there is a next page. All of them are read: a conversation without its
    // messages has at most 41 kB.
    sql.push(" ORDER BY updated_at DESC, id DESC LIMIT ")
        .push_bind(i64::from(page.limit.get()) + 1)
        .push(" + 0");
    let rows = sql.build().fetch_all(connection).await?;
    let bytes = |row: &SqliteRow, column: &str| {
        row.try_get::<Option<&[u8]>, _>(column).ok().flatten().map_or(0, <[u8]>::len)
    };
    let size =
        |row: &SqliteRow| ["title", "model", "system"].map(|column| bytes(row, column)).iter().sum::<usize>();
    let sized = rows.iter().map(|row| (size(row), || decode(row)));
    Page::collect(sized, page.limit.get() as usize, |last: &Conversation| Some(last.cursor()))
}

async fn rename(tx: &mut Transaction, id: ConversationId, title: String) -> StoreResult<()> {
    const RENAME: &str = "UPDATE conversations SET title = ? WHERE id = ?";
    let done = sqlx::query(RENAME).bind(title).bind(id.0).execute(&mut tx.connection).await?;
    if done.rows_affected() == 0 {
        Err(Error::not_found(format!("conversation {id}")))?;
    }
    Ok(())
}

async fn messages(
    connection: &mut SqliteConnection,
    conversation: ConversationId,
    before: Option<MessageId>,
    limit: u32,
    max_bytes: u64,
) -> StoreResult<Vec<StoredMessage>> {
    // Sums the sizes first: the header of each row has them, so only the returned messages are read.
    const LATEST: &str = concat!(
        "SELECT ",
        message_columns!(),
        " FROM messages WHERE id IN (SELECT id FROM (SELECT id, sum(bytes) OVER (ORDER BY id DESC) - bytes AS newer \
         FROM (SELECT id, octet_length(content) AS bytes FROM messages \
         WHERE conversation_id = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3 + 0)) WHERE newer < ?4) \
         ORDER BY id DESC"
    );
    let rows = sqlx::query(LATEST)
        .bind(conversation.0)
        .bind(before.map(|before| before.0))
        .bind(i64::from(limit))
        .bind(i64::try_from(max_bytes).unwrap_or(i64::MAX))
        .fetch_all(&mut *connection)
        .await?;
    rows.iter().rev().map(decode).collect()
}

async fn create_within(
    tx: &mut Transaction,
    conversation: Conversation,
    max: Option<u32>,
) -> StoreResult<()> {
    const COUNT: &str = "SELECT count(*) FROM conversations WHERE owner = ?";
    static INSERT: LazyLock<String> = LazyLock::new(|| insert::<Conversation>("conversations", &[]));
    if let (Some(max), Some(owner)) = (max, conversation.owner) {
        let count = sqlx::query(COUNT).bind(owner.0).fetch_one(&mut tx.connection).await?;
        if count.try_get::<u32, _>(0)? >= max {
            Err(quota::too_many("conversations", max))?;
        }
    }
    sqlx::query_with(INSERT.as_str(), bound(&conversation)?).execute(&mut tx.connection).await?;
    Ok(())
}

async fn delete_all(tx: &mut Transaction, owner: UserId) -> StoreResult<u64> {
    let delete = sqlx::query("DELETE FROM conversations WHERE owner = ?").bind(owner.0);
    Ok(delete.execute(&mut tx.connection).await?.rows_affected())
}

async fn append_within(
    tx: &mut Transaction,
    message: StoredMessage,
    quota: Option<MessageQuota>,
) -> StoreResult<()> {
    // No row where there is no owner.
    const COUNT: &str = "\
        SELECT sum(message_count) AS messages, sum(message_bytes) AS bytes FROM conversations
        WHERE owner = (SELECT owner FROM conversations WHERE id = ?) GROUP BY owner";
    const TOUCH: &str = "\
        UPDATE conversations SET updated_at = max(updated_at, ?), message_count = message_count + 1,
            message_bytes = message_bytes + ?
        WHERE id = ?";
    static INSERT: LazyLock<String> = LazyLock::new(|| insert::<StoredMessage>("messages", &[]));
    let bytes = message.message.content.len() as u64;
    if let Some(quota) = quota {
        let count = sqlx::query(COUNT).bind(message.conversation.0);
        if let Some(row) = count.fetch_optional(&mut tx.connection).await? {
            quota.check(row.try_get("messages")?, row.try_get("bytes")?, bytes)?;
        }
    }
    let touched = sqlx::query(TOUCH)
        .bind(nanos(message.created_at))
        .bind(bytes as i64)
        .bind(message.conversation.0)
        .execute(&mut tx.connection)
        .await?;
    if touched.rows_affected() == 0 {
        Err(Error::not_found(format!("conversation {}", message.conversation)))?;
    }
    sqlx::query_with(INSERT.as_str(), bound(&message)?).execute(&mut tx.connection).await?;
    Ok(())
}

async fn delete(tx: &mut Transaction, id: ConversationId) -> StoreResult<()> {
    const DELETE: &str = "DELETE FROM conversations WHERE id = ?";
    let done = sqlx::query(DELETE).bind(id.0).execute(&mut tx.connection).await?;
    if done.rows_affected() == 0 {
        Err(Error::not_found(format!("conversation {id}")))?;
    }
    Ok(())
}
