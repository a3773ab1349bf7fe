//! [`ApiKeyStore`] in a PostgreSQL database.

use std::num::NonZeroU32;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use sutazai_core::domain::{ApiKey, ApiKeyId, MAX_API_KEYS, UserId, quota};
use sutazai_core::ports::ApiKeyStore;
use sutazai_core::{Error, Result};

use super::database::Database;
use super::error::StoreResult;
use super::quota::{Counted, lock};
use super::time::Times;
use crate::tables::API_KEYS;

/// API keys in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresApiKeyStore {
    database: Database,
}

macro_rules! key_columns {
    () => {
        "id, user_id, name, prefix, hash, scopes, created_at, expires_at, last_used_at, \
         requests_per_minute"
    };
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
    const BY_HASH: &str = concat!("SELECT ", key_columns!(), " FROM api_keys WHERE hash = $1");
    let row = sqlx::query(BY_HASH).bind(hash).fetch_optional(connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn api_keys(connection: &mut PgConnection, user: UserId) -> StoreResult<Vec<ApiKey>> {
    const OF_USER: &str =
        concat!("SELECT ", key_columns!(), " FROM api_keys WHERE user_id = $1 ORDER BY id DESC");
    let rows = sqlx::query(OF_USER).bind(user.0).fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

async fn delete_all(connection: &mut PgConnection, user: UserId) -> StoreResult<u64> {
    let delete = sqlx::query("DELETE FROM api_keys WHERE user_id = $1").bind(user.0);
    Ok(delete.execute(connection).await?.rows_affected())
}

async fn create(connection: &mut PgConnection, key: &ApiKey) -> StoreResult<()> {
    const COUNT: &str = "SELECT count(*) FROM api_keys WHERE user_id = $1";
    const INSERT: &str = concat!(
        "INSERT INTO api_keys (",
        key_columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    );
    lock(connection, Counted::ApiKeys, &[key.user]).await?;
    let count = sqlx::query(COUNT).bind(key.user.0).fetch_one(&mut *connection).await?;
    if count.try_get::<i64, _>(0)? >= i64::from(MAX_API_KEYS) {
        Err(quota::too_many("API keys", MAX_API_KEYS))?;
    }
    sqlx::query(INSERT)
        .bind(key.id.0)
        .bind(key.user.0)
        .bind(&key.name)
        .bind(&key.prefix)
        .bind(&key.hash)
        .bind(Json(&key.scopes))
        .bind(key.created_at)
        .bind(key.expires_at)
        .bind(key.last_used_at)
        .bind(key.requests_per_minute.map(|limit| i64::from(limit.get())))
        .execute(connection)
        .await?;
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

fn decode(row: &PgRow) -> StoreResult<ApiKey> {
    Ok(ApiKey {
        id: ApiKeyId(row.try_get(0)?),
        user: UserId(row.try_get(1)?),
        name: row.try_get(2)?,
        prefix: row.try_get(3)?,
        hash: row.try_get(4)?,
        scopes: row.try_get::<Json<_>, _>(5)?.0,
        created_at: row.time(6)?,
        expires_at: row.time_if_any(7)?,
        last_used_at: row.time_if_any(8)?,
        requests_per_minute: limit(row.try_get(9)?)?,
    })
}

fn limit(stored: Option<i64>) -> Result<Option<NonZeroU32>> {
    let known = |limit| NonZeroU32::new(u32::try_from(limit).unwrap_or_default());
    stored
        .map(|limit| {
            known(limit)
                .ok_or_else(|| Error::internal(format!("the stored request limit {limit} is out of range")))
        })
        .transpose()
}
