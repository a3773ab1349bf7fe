//! [`Cache`] in Redis: `SET` with an expiry, and with `NX` for values that are only added.

use std::time::Duration;

use ::redis::{AsyncCommands, ExistenceCheck, SetExpiry, SetOptions};
use async_trait::async_trait;
use sutazai_core::Result;
use sutazai_core::ports::Cache;

use super::Redis;

/// Cache of strings with a time to live in Redis.
#[derive(Debug, Clone)]
pub struct RedisCache {
    redis: Redis,
}

impl RedisCache {
    /// Creates a cache that uses the keys as they are given, without a prefix.
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    async fn set(&self, key: &str, value: &str, life: Duration, options: SetOptions) -> Result<()> {
        let milliseconds = u64::try_from(life.as_millis()).unwrap_or(u64::MAX).max(1);
        let options = options.with_expiration(SetExpiry::PX(milliseconds));
        let set = async |mut to: ::redis::aio::ConnectionManager| {
            // With `NX`, nil means that the key exists, which is no error here.
            to.set_options::<_, _, Option<String>>(key, value, options).await.map(drop)
        };
        self.redis.run(set).await
    }
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        self.redis.run(async |mut from| from.get(key).await).await
    }

    async fn put(&self, key: &str, value: &str, life: Duration) -> Result<()> {
        self.set(key, value, life, SetOptions::default()).await
    }

    async fn add(&self, key: &str, value: &str, life: Duration) -> Result<()> {
        let unless_there = SetOptions::default().conditional_set(ExistenceCheck::NX);
        self.set(key, value, life, unless_there).await
    }
}
