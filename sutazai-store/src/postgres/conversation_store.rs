//! [`ConversationStore`] in a PostgreSQL database.

use async_trait::async_trait;
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use sutazai_core::domain::{
    ChatMessage, Conversation, ConversationId, ConversationPage, ConversationQuery, MessageId, MessageQuota,
    StoredMessage, UserId, quota,
};
use sutazai_core::ports::ConversationStore;
use sutazai_core::{Error, Result};
use uuid::Uuid;

use super::database::Database;
use super::error::StoreResult;
use super::quota::{Counted, lock};
use super::text::{from_json, given, json, kept};
use super::time::Times;
use super::timeout_class::TimeoutClass;
use super::transaction::Transaction;
use crate::tables::{CONVERSATIONS, MESSAGES};

/// Conversations and their messages in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresConversationStore {
    database: Database,
}

macro_rules! conversation_columns {
    () => {
        "id, owner, title, model, system, created_at, updated_at"
    };
}

macro_rules! message_columns {
    () => {
        "id, conversation_id, role, content, created_at, cut, usage"
    };
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

    async fn list(&self, query: &ConversationQuery) -> Result<ConversationPage> {
        self.database
            .run(CONVERSATIONS.select(), query.clone(), |connection, query| Box::pin(list(connection, query)))
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
    const INSERT: &str = concat!(
        "INSERT INTO conversations (",
        conversation_columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7)"
    );
    if let (Some(max), Some(owner)) = (max, conversation.owner) {
        lock(connection, Counted::Conversations, &[owner]).await?;
        let count = sqlx::query(COUNT).bind(owner.0).fetch_one(&mut *connection).await?;
        if count.try_get::<i64, _>(0)? >= i64::from(max) {
            Err(quota::too_many("conversations", max))?;
        }
    }
    sqlx::query(INSERT)
        .bind(conversation.id.0)
        .bind(conversation.owner.map(|owner| owner.0))
        .bind(kept(&conversation.title))
        .bind(conversation.model.as_deref().map(kept))
        .bind(conversation.system.as_deref().map(kept))
        .bind(conversation.created_at)
        .bind(conversation.updated_at)
        .execute(connection)
        .await?;
    Ok(())
}

async fn get(connection: &mut PgConnection, id: ConversationId) -> StoreResult<Option<Conversation>> {
    const BY_ID: &str = concat!("SELECT ", conversation_columns!(), " FROM conversations WHERE id = $1");
    let row = sqlx::query(BY_ID).bind(id.0).fetch_optional(connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn list(connection: &mut PgConnection, query: &ConversationQuery) -> StoreResult<ConversationPage> {
    const ALL: &str = concat!(
        "SELECT ",
        conversation_columns!(),
        " FROM conversations WHERE id < $1 ORDER BY id DESC LIMIT $2"
    );
    const OF_OWNER: &str = concat!(
        "SELECT ",
        conversation_columns!(),
        " FROM conversations WHERE id < $1 AND owner = $3 ORDER BY id DESC LIMIT $2"
    );
    let statement = sqlx::query(if query.owner.is_some() { OF_OWNER } else { ALL })
        .bind(query.before.map_or(Uuid::max(), |before| before.0))
        .bind(i64::from(query.limit) + 1);
    let statement = match query.owner {
        Some(owner) => statement.bind(owner.0),
        None => statement,
    };
    let rows = statement.fetch_all(connection).await?;
    let conversations = rows.iter().map(decode).collect::<StoreResult<Vec<_>>>()?;
    Ok(ConversationPage::of(conversations, query.limit as usize))
}

async fn append_within(
    transaction: &mut Transaction<'_>,
    message: &StoredMessage,
    quota: Option<MessageQuota>,
) -> StoreResult<()> {
    const OWNER: &str = "SELECT owner FROM conversations WHERE id = $1";
    const COUNT: &str = "\
        SELECT coalesce(sum(message_count), 0)::bigint, coalesce(sum(message_bytes), 0)::bigint
        FROM conversations WHERE owner = $1";
    const TOUCH: &str = "\
        UPDATE conversations SET updated_at = greatest(updated_at, $1), message_count = message_count + 1,
            message_bytes = message_bytes + $3
        WHERE id = $2";
    const INSERT: &str =
        concat!("INSERT INTO messages (", message_columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb)");
    let bytes = message.message.content.len() as u64;
    if let Some(quota) = quota {
        let owner = sqlx::query_scalar::<_, Option<Uuid>>(OWNER).bind(message.conversation.0);
        // The lock of the owner before that of the conversation: every write with a quota takes them in this order.
        if let Some(owner) = owner.fetch_optional(&mut *transaction.connection).await?.flatten() {
            lock(transaction.connection, Counted::Messages, &[UserId(owner)]).await?;
            let row = sqlx::query(COUNT).bind(owner).fetch_one(&mut *transaction.connection).await?;
            let [messages, said] =
                [row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?].map(i64::unsigned_abs);
            quota.check(messages, said, bytes)?;
        }
    }
    let touch = sqlx::query(TOUCH).bind(message.created_at).bind(message.conversation.0).bind(bytes as i64);
    if touch.execute(&mut *transaction.connection).await?.rows_affected() == 0 {
        Err(Error::not_found(format!("conversation {}", message.conversation)))?;
    }
    sqlx::query(INSERT)
        .bind(message.id.0)
        .bind(message.conversation.0)
        .bind(message.message.role.as_str())
        .bind(kept(&message.message.content))
        .bind(message.created_at)
        .bind(message.cut)
        .bind(message.usage.as_ref().map(json).transpose()?)
        .execute(&mut *transaction.connection)
        .await?;
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
    rows.iter().rev().map(decode_message).collect()
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

fn decode(row: &PgRow) -> StoreResult<Conversation> {
    Ok(Conversation {
        id: ConversationId(row.try_get(0)?),
        owner: row.try_get::<Option<_>, _>(1)?.map(UserId),
        title: given(row.try_get(2)?),
        model: row.try_get::<Option<_>, _>(3)?.map(given),
        system: row.try_get::<Option<String>, _>(4)?.map(given),
        created_at: row.time(5)?,
        updated_at: row.time(6)?,
    })
}

fn decode_message(row: &PgRow) -> StoreResult<StoredMessage> {
    let usage = row.try_get::<Option<Json<&RawValue>>, _>(6)?;
    Ok(StoredMessage {
        id: MessageId(row.try_get(0)?),
        conversation: ConversationId(row.try_get(1)?),
        message: ChatMessage { role: row.try_get::<&str, _>(2)?.parse()?, content: given(row.try_get(3)?) },
        created_at: row.time(4)?,
        cut: row.try_get(5)?,
        usage: usage.map(|usage| from_json(usage.get())).transpose()?,
    })
}
