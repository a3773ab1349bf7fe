//! [`ConversationStore`] in a PostgreSQL database.

use std::sync::LazyLock;

use async_trait::async_trait;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row};
use sutazai_core::domain::{
    Conversation, ConversationCursor, ConversationId, MessageId, MessageQuota, Page, PageRequest,
    StoredMessage, UserId, quota,
};
use sutazai_core::ports::ConversationStore;
use sutazai_core::{Error, Result};
use uuid::Uuid;

use super::columns::{bound, insert};
use super::database::Database;
use super::error::StoreResult;
use super::keyset::collect;
use super::quota::{Counted, lock};
use super::text::kept;
use super::timeout_class::TimeoutClass;
use super::transaction::Transaction;
use crate::columns::{conversation_columns, decode, message_columns};
use crate::tables::{CONVERSATIONS, MESSAGES};

/// Conversations and their messages in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresConversationStore {
    database: Database,
}

impl PostgresConversationStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl ConversationStore for PostgresConversationStore {
    async fn create_within(&self, conversation: &Conversation, max: Option<u32>) -> Result<()> {
        let new = (conversation.clone(), max);
        self.database
            .write(CONVERSATIONS.insert(), new, |tx, new| {
                Box::pin(create_within(tx.connection, &new.0, new.1))
            })
            .await
    }

    async fn get(&self, id: ConversationId) -> Result<Option<Conversation>> {
        self.database.run(CONVERSATIONS.select(), id, |connection, id| Box::pin(get(connection, *id))).await
    }

    async fn list(
        &self,
        owner: Option<UserId>,
        page: PageRequest<ConversationCursor>,
    ) -> Result<Page<Conversation, ConversationCursor>> {
        self.database
            .run(CONVERSATIONS.select(), (owner, page), |connection, asked| {
                Box::pin(list(connection, *asked))
            })
            .await
    }

    async fn rename(&self, id: ConversationId, title: &str) -> Result<()> {
        let title = title.to_owned();
        self.database
            .run(CONVERSATIONS.update(), title, move |connection, title| {
                Box::pin(rename(connection, id, title))
            })
            .await
    }

    async fn append_within(&self, message: &StoredMessage, quota: Option<MessageQuota>) -> Result<()> {
        let new = (message.clone(), quota);
        self.database
            .write(MESSAGES.insert(), new, |tx, new| Box::pin(append_within(tx, &new.0, new.1)))
            .await
    }

    async fn messages(
        &self,
        conversation: ConversationId,
        before: Option<MessageId>,
        limit: u32,
        max_bytes: u64,
    ) -> Result<Vec<StoredMessage>> {
        let bounds = (i64::from(limit), i64::try_from(max_bytes).unwrap_or(i64::MAX));
        let of = conversation;
        self.database
            .run(MESSAGES.select(), of, move |connection, of| {
                Box::pin(messages(connection, *of, before, bounds))
            })
            .await
    }

    async fn delete(&self, id: ConversationId) -> Result<()> {
        self.database
            .run(CONVERSATIONS.delete(), id, |connection, id| Box::pin(delete(connection, *id)))
            .await
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        self.database
            .run_within(CONVERSATIONS.delete(), TimeoutClass::Long, owner, |connection, owner| {
                Box::pin(delete_all(connection, *owner))
            })
            .await
    }
}

async fn create_within(
    connection: &mut PgConnection,
    conversation: &Conversation,
    max: Option<u32>,
) -> StoreResult<()> {
    const COUNT: &str = "SELECT count(*) FROM conversations WHERE owner = $1";
    static INSERT: LazyLock<String> = LazyLock::new(|| insert::<Conversation>("conversations", &[]));
    if let (Some(max), Some(owner)) = (max, conversation.owner) {
        lock(connection, Counted::Conversations, &[owner]).await?;
        let count = sqlx::query(COUNT).bind(owner.0).fetch_one(&mut *connection).await?;
        if count.try_get::<i64, _>(0)? >= i64::from(max) {
            Err(quota::too_many("conversations", max))?;
        }
    }
    sqlx::query_with(INSERT.as_str(), bound(conversation)?).execute(connection).await?;
    Ok(())
}

async fn get(connection: &mut PgConnection, id: ConversationId) -> StoreResult<Option<Conversation>> {
    const BY_ID: &str = concat!("SELECT ", conversation_columns!(), " FROM conversations WHERE id = $1");
    let row = sqlx::query(BY_ID).bind(id.0).fetch_optional(connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn list(
    connection: &mut PgConnection,
    (owner, page): (Option<UserId>, PageRequest<ConversationCursor>),
) -> StoreResult<Page<Conversation, ConversationCursor>> {
    const LIST: &str = concat!("SELECT ", conversation_columns!(), " FROM conversations WHERE true");
    let mut sql = QueryBuilder::<Postgres>::new(LIST);
    if let Some(owner) = owner {
        sql.push(" AND owner = ").push_bind(owner.0);
    }
    if let Some(ConversationCursor { updated_at, id }) = page.cursor {
        sql.push(" AND (updated_at, id) < (").push_bind(updated_at).push(", ").push_bind(id.0).push(")");
    }
    // One more row than requested shows whether there is a next page.
    let limit = page.limit.get();
    sql.push(" ORDER BY updated_at DESC, id DESC LIMIT ").push_bind(i64::from(limit) + 1);
    let rows = sql.build().fetch(connection);
    let content = &["title", "model", "system"];
    collect(rows, limit, content, decode, |last: &Conversation| Some(last.cursor())).await
}

async fn rename(connection: &mut PgConnection, id: ConversationId, title: &str) -> StoreResult<()> {
    const RENAME: &str = "UPDATE conversations SET title = $1 WHERE id = $2";
    let done = sqlx::query(RENAME).bind(kept(title)).bind(id.0).execute(connection).await?;
    if done.rows_affected() == 0 {
        Err(Error::not_found(format!("conversation {id}")))?;
    }
    Ok(())
}

async fn append_within(
    transaction: &mut Transaction<'_>,
    message: &StoredMessage,
    quota: Option<MessageQuota>,
) -> StoreResult<()> {
    const OWNER: &str = "SELECT owner FROM conversations WHERE id = $1";
    const COUNT: &str = "\
        SELECT coalesce(sum(message_count), 0)::bigint AS messages, coalesce(sum(message_bytes), 0)::bigint AS bytes
        FROM conversations WHERE owner = $1";
    const TOUCH: &str = "\
        UPDATE conversations SET updated_at = greatest(updated_at, $1), message_count = message_count + 1,
            message_bytes = message_bytes + $3
        WHERE id = $2";
    static INSERT: LazyLock<String> = LazyLock::new(|| insert::<StoredMessage>("messages", &[]));
    let bytes = message.message.content.len() as u64;
    if let Some(quota) = quota {
        let owner = sqlx::query_scalar::<_, Option<Uuid>>(OWNER).bind(message.conversation.0);
        // The lock of the owner before that of the conversation: every write with a quota takes them in this order.
        if let Some(owner) = owner.fetch_optional(&mut *transaction.connection).await?.flatten() {
            lock(transaction.connection, Counted::Messages, &[UserId(owner)]).await?;
            let row = sqlx::query(COUNT).bind(owner).fetch_one(&mut *transaction.connection).await?;
            let sum = |column: &str| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
            quota.check(sum("messages")?, sum("bytes")?, bytes)?;
        }
    }
    let touch = sqlx::query(TOUCH).bind(message.created_at).bind(message.conversation.0).bind(bytes as i64);
    if touch.execute(&mut *transaction.connection).await?.rows_affected() == 0 {
        Err(Error::not_found(format!("conversation {}", message.conversation)))?;
    }
    let insert = sqlx::query_with(INSERT.as_str(), bound(message)?);
    insert.execute(&mut *transaction.connection).await?;
    Ok(())
}

async fn messages(
    connection: &mut PgConnection,
    conversation: ConversationId,
    before: Option<MessageId>,
    (limit, max_bytes): (i64, i64),
) -> StoreResult<Vec<StoredMessage>> {
    // Sums the sizes first: PostgreSQL knows them without reading the contents, so only the returned messages
    // are read.
    const LATEST: &str = concat!(
        "SELECT ",
        message_columns!(),
        " FROM messages WHERE id IN (SELECT id FROM (SELECT id, sum(bytes) OVER (ORDER BY id DESC) - bytes AS newer \
         FROM (SELECT id, octet_length(content)::bigint AS bytes FROM messages \
         WHERE conversation_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3) AS latest) AS summed WHERE newer < $4) \
         ORDER BY id DESC"
    );
    let rows = sqlx::query(LATEST)
        .bind(conversation.0)
        .bind(before.map_or(Uuid::max(), |before| before.0))
        .bind(limit)
        .bind(max_bytes)
        .fetch_all(connection)
        .await?;
    rows.iter().rev().map(decode).collect()
}

async fn delete_all(connection: &mut PgConnection, owner: UserId) -> StoreResult<u64> {
    let delete = sqlx::query("DELETE FROM conversations WHERE owner = $1").bind(owner.0);
    Ok(delete.execute(connection).await?.rows_affected())
}

async fn delete(connection: &mut PgConnection, id: ConversationId) -> StoreResult<()> {
    const DELETE: &str = "DELETE FROM conversations WHERE id = $1";
    let done = sqlx::query(DELETE).bind(id.0).execute(connection).await?;
    if done.rows_affected() == 0 {
        Err(Error::not_found(format!("conversation {id}")))?;
    }
    Ok(())
}
