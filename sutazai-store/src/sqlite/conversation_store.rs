//! [`ConversationStore`] in an SQLite database.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use sutazai_core::domain::{
    ChatMessage, Conversation, ConversationId, ConversationPage, ConversationQuery, MessageId, MessageQuota,
    Role, StoredMessage, UserId, quota,
};
use sutazai_core::ports::ConversationStore;
use sutazai_core::{Error, Result};

use super::database::Database;
use super::error::StoreResult;
use super::statement::{instant, nanos};
use super::writer::Transaction;
use crate::tables::{CONVERSATIONS, MESSAGES};

/// Conversations and their messages in an SQLite file.
#[derive(Debug)]
pub(super) struct SqliteConversationStore {
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

    async fn list(&self, query: &ConversationQuery) -> Result<ConversationPage> {
        self.database
            .read(CONVERSATIONS.select(), query.clone(), |connection, query| {
                Box::pin(list(connection, query))
            })
            .await
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

async fn list(connection: &mut SqliteConnection, query: &ConversationQuery) -> StoreResult<ConversationPage> {
    const ALL: &str = concat!(
        "SELECT ",
        conversation_columns!(),
        " FROM conversations WHERE (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3"
    );
    const OF_OWNER: &str = concat!(
        "SELECT ",
        conversation_columns!(),
        " FROM conversations WHERE owner = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3"
    );
    let rows = sqlx::query(if query.owner.is_some() { OF_OWNER } else { ALL })
        .bind(query.owner.map(|owner| owner.0))
        .bind(query.before.map(|before| before.0))
        .bind(i64::from(query.limit) + 1)
        .fetch_all(&mut *connection)
        .await?;
    let conversations = rows.iter().map(decode).collect::<StoreResult<Vec<_>>>()?;
    Ok(ConversationPage::of(conversations, query.limit as usize))
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
         WHERE conversation_id = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3)) WHERE newer < ?4) \
         ORDER BY id DESC"
    );
    let rows = sqlx::query(LATEST)
        .bind(conversation.0)
        .bind(before.map(|before| before.0))
        .bind(i64::from(limit))
        .bind(i64::try_from(max_bytes).unwrap_or(i64::MAX))
        .fetch_all(&mut *connection)
        .await?;
    rows.iter().rev().map(decode_message).collect()
}

async fn create_within(
    tx: &mut Transaction,
    conversation: Conversation,
    max: Option<u32>,
) -> StoreResult<()> {
    const COUNT: &str = "SELECT count(*) FROM conversations WHERE owner = ?";
    const INSERT: &str =
        concat!("INSERT INTO conversations (", conversation_columns!(), ") VALUES (?, ?, ?, ?, ?, ?, ?)");
    if let (Some(max), Some(owner)) = (max, conversation.owner) {
        let count = sqlx::query(COUNT).bind(owner.0).fetch_one(&mut tx.connection).await?;
        if count.try_get::<u32, _>(0)? >= max {
            Err(quota::too_many("conversations", max))?;
        }
    }
    sqlx::query(INSERT)
        .bind(conversation.id.0)
        .bind(conversation.owner.map(|owner| owner.0))
        .bind(&conversation.title)
        .bind(&conversation.model)
        .bind(&conversation.system)
        .bind(nanos(conversation.created_at))
        .bind(nanos(conversation.updated_at))
        .execute(&mut tx.connection)
        .await?;
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
        SELECT sum(message_count), sum(message_bytes) FROM conversations
        WHERE owner = (SELECT owner FROM conversations WHERE id = ?) GROUP BY owner";
    const TOUCH: &str = "\
        UPDATE conversations SET updated_at = max(updated_at, ?), message_count = message_count + 1,
            message_bytes = message_bytes + ?
        WHERE id = ?";
    let bytes = message.message.content.len() as u64;
    if let Some(quota) = quota {
        let count = sqlx::query(COUNT).bind(message.conversation.0);
        if let Some(row) = count.fetch_optional(&mut tx.connection).await? {
            quota.check(row.try_get(0)?, row.try_get(1)?, bytes)?;
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
    const INSERT: &str =
        concat!("INSERT INTO messages (", message_columns!(), ") VALUES (?, ?, ?, ?, ?, ?, ?)");
    sqlx::query(INSERT)
        .bind(message.id.0)
        .bind(message.conversation.0)
        .bind(message.message.role.as_str())
        .bind(&message.message.content)
        .bind(nanos(message.created_at))
        .bind(message.cut)
        .bind(message.usage.as_ref().map(serde_json::to_string).transpose()?)
        .execute(&mut tx.connection)
        .await?;
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

fn decode(row: &SqliteRow) -> StoreResult<Conversation> {
    Ok(Conversation {
        id: ConversationId(row.try_get(0)?),
        owner: row.try_get::<Option<_>, _>(1)?.map(UserId),
        title: row.try_get(2)?,
        model: row.try_get(3)?,
        system: row.try_get(4)?,
        created_at: instant(row.try_get(5)?),
        updated_at: instant(row.try_get(6)?),
    })
}

fn decode_message(row: &SqliteRow) -> StoreResult<StoredMessage> {
    let role: Role = row.try_get::<&str, _>(2)?.parse()?;
    Ok(StoredMessage {
        id: MessageId(row.try_get(0)?),
        conversation: ConversationId(row.try_get(1)?),
        message: ChatMessage { role, content: row.try_get(3)? },
        created_at: instant(row.try_get(4)?),
        cut: row.try_get(5)?,
        usage: row.try_get::<Option<&str>, _>(6)?.map(serde_json::from_str).transpose()?,
    })
}
