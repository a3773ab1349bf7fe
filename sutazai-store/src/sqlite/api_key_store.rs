//! [`ApiKeyStore`] in an SQLite database.

use std::sync::LazyLock;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{Row, SqliteConnection};
use sutazai_core::domain::{ApiKey, ApiKeyId, MAX_API_KEYS, UserId, quota};
use sutazai_core::ports::ApiKeyStore;
use sutazai_core::{Error, Result};

use super::columns::{bound, insert};
use super::database::Database;
use super::error::StoreResult;
use super::statement::nanos;
use super::writer::Transaction;
use crate::columns::{api_key_columns, decode};
use crate::tables::API_KEYS;

/// API keys in an SQLite file.
#[derive(Debug)]
pub(super) struct SqliteApiKeyStore {
    database: Database,
}

impl SqliteApiKeyStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl ApiKeyStore for SqliteApiKeyStore {
    async fn create(&self, key: &ApiKey) -> Result<()> {
        let key = key.clone();
        self.database.writer().run(API_KEYS.insert(), |tx| Box::pin(create(tx, key))).await
    }

    async fn find(&self, hash: &str) -> Result<Option<ApiKey>> {
        self.database
            .read(API_KEYS.select(), hash.to_owned(), |connection, hash| Box::pin(find(connection, hash)))
            .await
    }

    async fn api_keys(&self, user: UserId) -> Result<Vec<ApiKey>> {
        self.database
            .read(API_KEYS.select(), user, |connection, user| Box::pin(api_keys(connection, *user)))
            .await
    }

    async fn record_use(&self, id: ApiKeyId, at: DateTime<Utc>) -> Result<()> {
        self.database.writer().run(API_KEYS.update(), move |tx| Box::pin(record_use(tx, id, at))).await
    }

    async fn delete(&self, user: UserId, id: ApiKeyId) -> Result<()> {
        self.database.writer().run(API_KEYS.delete(), move |tx| Box::pin(delete(tx, user, id))).await
    }

    async fn delete_all(&self, user: UserId) -> Result<u64> {
        self.database.writer().run(API_KEYS.delete(), move |tx| Box::pin(delete_all(tx, user))).await
    }
}

async fn find(connection: &mut SqliteConnection, hash: &str) -> StoreResult<Option<ApiKey>> {
    const BY_HASH: &str = concat!("SELECT ", api_key_columns!(), " FROM api_keys WHERE hash = ?");
    let row = sqlx::query(BY_HASH).bind(hash).fetch_optional(&mut *connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn api_keys(connection: &mut SqliteConnection, user: UserId) -> StoreResult<Vec<ApiKey>> {
    const OF_USER: &str =
        concat!("SELECT ", api_key_columns!(), " FROM api_keys WHERE user_id = ? ORDER BY id DESC");
    let rows = sqlx::query(OF_USER).bind(user.0).fetch_all(&mut *connection).await?;
    rows.iter().map(decode).collect()
}

async fn create(tx: &mut Transaction, key: ApiKey) -> StoreResult<()> {
    const COUNT: &str = "SELECT count(*) FROM api_keys WHERE user_id = ?";
    static INSERT: LazyLock<String> = LazyLock::new(|| insert::<ApiKey>("api_keys", &[]));
    let count = sqlx::query(COUNT).bind(key.user.0).fetch_one(&mut tx.connection).await?;
    if count.try_get::<u32, _>(0)? >= MAX_API_KEYS {
        Err(quota::too_many("API keys", MAX_API_KEYS))?;
    }
    sqlx::query_with(INSERT.as_str(), bound(&key)?).execute(&mut tx.connection).await?;
    Ok(())
}

async fn delete_all(tx: &mut Transaction, user: UserId) -> StoreResult<u64> {
    let delete = sqlx::query("DELETE FROM api_keys WHERE user_id = ?").bind(user.0);
    Ok(delete.execute(&mut tx.connection).await?.rows_affected())
}

async fn record_use(tx: &mut Transaction, id: ApiKeyId, at: DateTime<Utc>) -> StoreResult<()> {
    const USE: &str = "UPDATE api_keys SET last_used_at = max(ifnull(last_used_at, ?1), ?1) WHERE id = ?2";
    sqlx::query(USE).bind(nanos(at)).bind(id.0).execute(&mut tx.connection).await?;
    Ok(())
}

async fn delete(tx: &mut Transaction, user: UserId, id: ApiKeyId) -> StoreResult<()> {
    const DELETE: &str = "DELETE FROM api_keys WHERE id = ? AND user_id = ?";
    let done = sqlx::query(DELETE).bind(id.0).bind(user.0).execute(&mut tx.connection).await?;
    if done.rows_affected() == 0 {
        Err(Error::not_found(format!("API key {id}")))?;
    }
    Ok(())
}
