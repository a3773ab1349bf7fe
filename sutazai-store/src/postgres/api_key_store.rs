//! [`ApiKeyStore`] in a PostgreSQL database.

use std::sync::LazyLock;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};
use sutazai_core::domain::{ApiKey, ApiKeyId, MAX_API_KEYS, UserId, quota};
use sutazai_core::ports::ApiKeyStore;
use sutazai_core::{Error, Result};

use super::columns::{bound, insert};
use super::database::Database;
use super::error::StoreResult;
use super::quota::{Counted, lock};
use crate::columns::{api_key_columns, decode};
use crate::tables::API_KEYS;

/// API keys in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresApiKeyStore {
    database: Database,
}

impl PostgresApiKeyStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl ApiKeyStore for PostgresApiKeyStore {
    async fn create(&self, key: &ApiKey) -> Result<()> {
        self.database
            .write(API_KEYS.insert(), key.clone(), |tx, key| Box::pin(create(tx.connection, key)))
            .await
    }

    async fn find(&self, hash: &str) -> Result<Option<ApiKey>> {
        self.database
            .run(API_KEYS.select(), hash.to_owned(), |connection, hash| Box::pin(find(connection, hash)))
            .await
    }

    async fn api_keys(&self, user: UserId) -> Result<Vec<ApiKey>> {
        self.database
            .run(API_KEYS.select(), user, |connection, user| Box::pin(api_keys(connection, *user)))
            .await
    }

    async fn record_use(&self, id: ApiKeyId, at: DateTime<Utc>) -> Result<()> {
        self.database
            .run(API_KEYS.update(), id, move |connection, id| Box::pin(record_use(connection, *id, at)))
            .await
    }

    async fn delete(&self, user: UserId, id: ApiKeyId) -> Result<()> {
        self.database
            .run(API_KEYS.delete(), id, move |connection, id| Box::pin(delete(connection, user, *id)))
            .await
    }

    async fn delete_all(&self, user: UserId) -> Result<u64> {
        self.database
            .run(API_KEYS.delete(), user, |connection, user| Box::pin(delete_all(connection, *user)))
            .await
    }
}

async fn find(connection: &mut PgConnection, hash: &str) -> StoreResult<Option<ApiKey>> {
    const BY_HASH: &str = concat!("SELECT ", api_key_columns!(), " FROM api_keys WHERE hash = $1");
    let row = sqlx::query(BY_HASH).bind(hash).fetch_optional(connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn api_keys(connection: &mut PgConnection, user: UserId) -> StoreResult<Vec<ApiKey>> {
    const OF_USER: &str =
        concat!("SELECT ", api_key_columns!(), " FROM api_keys WHERE user_id = $1 ORDER BY id DESC");
    let rows = sqlx::query(OF_USER).bind(user.0).fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

async fn delete_all(connection: &mut PgConnection, user: UserId) -> StoreResult<u64> {
    let delete = sqlx::query("DELETE FROM api_keys WHERE user_id = $1").bind(user.0);
    Ok(delete.execute(connection).await?.rows_affected())
}

async fn create(connection: &mut PgConnection, key: &ApiKey) -> StoreResult<()> {
    const COUNT: &str = "SELECT count(*) FROM api_keys WHERE user_id = $1";
    static INSERT: LazyLock<String> = LazyLock::new(|| insert::<ApiKey>("api_keys", &[]));
    lock(connection, Counted::ApiKeys, &[key.user]).await?;
    let count = sqlx::query(COUNT).bind(key.user.0).fetch_one(&mut *connection).await?;
    if count.try_get::<i64, _>(0)? >= i64::from(MAX_API_KEYS) {
        Err(quota::too_many("API keys", MAX_API_KEYS))?;
    }
    sqlx::query_with(INSERT.as_str(), bound(key)?).execute(connection).await?;
    Ok(())
}

async fn record_use(connection: &mut PgConnection, id: ApiKeyId, at: DateTime<Utc>) -> StoreResult<()> {
    // `greatest` ignores nulls.
    const USE: &str = "UPDATE api_keys SET last_used_at = greatest(last_used_at, $1) WHERE id = $2";
    sqlx::query(USE).bind(at).bind(id.0).execute(connection).await?;
    Ok(())
}

async fn delete(connection: &mut PgConnection, user: UserId, id: ApiKeyId) -> StoreResult<()> {
    const DELETE: &str = "DELETE FROM api_keys WHERE id = $1 AND user_id = $2";
    let done = sqlx::query(DELETE).bind(id.0).bind(user.0).execute(connection).await?;
    if done.rows_affected() == 0 {
        Err(Error::not_found(format!("API key {id}")))?;
    }
    Ok(())
}
