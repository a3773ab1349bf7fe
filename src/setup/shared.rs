//! What servers share in a Redis where `REDIS_URL` names one: limits and a cache.

use std::sync::Arc;

use sutazai_core::Result;
use sutazai_core::ports::{Cache, Clock, Quota, RateLimiter};
use sutazai_http::{App, GovernorRateLimiter};
#[cfg(feature = "redis")]
use sutazai_store::redis::{Redis, RedisCache, RedisRateLimiter};

use crate::config::Config;

/// The Redis, if there is to be one. Clones share its connection.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedParts {
    #[cfg(feature = "redis")]
    redis: Option<Redis>,
}

impl SharedParts {
    /// It need not be there yet.
    ///
    /// # Errors
    /// `InvalidInput` naming `REDIS_URL`.
    #[cfg(feature = "redis")]
    pub(super) fn open(config: &Config) -> Result<Self> {
        let redis = config.redis_url.as_ref().map(|url| Redis::at(url.expose())).transpose()?;
        Ok(Self { redis })
    }

    /// Nothing: the configuration has been refused if it names a Redis.
    #[cfg(not(feature = "redis"))]
    pub(super) fn open(_: &Config) -> Result<Self> {
        Ok(Self::default())
    }

    /// What the processes remember together.
    pub(super) fn cache(&self) -> Option<Arc<dyn Cache>> {
        #[cfg(feature = "redis")]
        if let Some(redis) = self.redis.clone() {
            return Some(Arc::new(RedisCache::new(redis)));
        }
        None
    }

    /// Counts requests: of all servers together, or of this one.
    pub(super) fn limiter(&self, name: &str, limit: u32, clock: &Arc<dyn Clock>) -> Arc<dyn RateLimiter> {
        let own = Arc::new(GovernorRateLimiter::new(Quota::per_minute(limit), clock.clone()));
        #[cfg(feature = "redis")]
        if let Some(redis) = self.redis.clone() {
            return Arc::new(RedisRateLimiter::new(redis, name, own, clock.clone()));
        }
        #[cfg(not(feature = "redis"))]
        let _ = name;
        own
    }

    /// Has the server's readiness speak of it.
    pub(super) fn watched(&self, app: App) -> App {
        #[cfg(feature = "redis")]
        if let Some(redis) = self.redis.clone() {
            return app.uses("redis", move || {
                let redis = redis.clone();
                async move { redis.reach().await }
            });
        }
        app
    }
}
