//! Optional services that processes share in addition to the database: rate limits and a cache in Redis (`REDIS_URL`),
//! and RabbitMQ (`RABBITMQ_URL`), to which events are published.

use std::sync::Arc;

#[cfg(feature = "redis")]
use sutazai_core::Error;
use sutazai_core::Result;
use sutazai_core::ports::{Cache, MessageBus};
#[cfg(feature = "http")]
use sutazai_core::ports::{Clock, Quota, RateLimiter};
#[cfg(feature = "http")]
use sutazai_http::{App, GovernorRateLimiter};
#[cfg(feature = "rabbitmq")]
use sutazai_store::rabbitmq::RabbitMqMessageBus;
#[cfg(all(feature = "redis", feature = "http"))]
use sutazai_store::redis::RedisRateLimiter;
#[cfg(feature = "redis")]
use sutazai_store::redis::{Redis, RedisCache};

use crate::config::Config;

/// Clients of the configured services. Clones share their connections.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedParts {
    #[cfg(feature = "redis")]
    redis: Option<Redis>,
    bus: Option<Arc<dyn MessageBus>>,
}

impl SharedParts {
    /// Creates the clients of the configured services without connecting; a service may be started later. The
    /// validation of the configuration rejects services that are not compiled in.
    ///
    /// # Errors
    /// `InvalidInput` naming the setting.
    pub(super) fn open(config: &Config) -> Result<Self> {
        Ok(Self {
            #[cfg(feature = "redis")]
            redis: redis(config)?,
            bus: bus(config)?,
        })
    }

    /// Returns the client of the message bus; `None` without one.
    pub(super) fn bus(&self) -> Option<Arc<dyn MessageBus>> {
        self.bus.clone()
    }

    /// Creates the shared cache; `None` without Redis.
    pub(super) fn cache(&self) -> Option<Arc<dyn Cache>> {
        #[cfg(feature = "redis")]
        if let Some(redis) = self.redis.clone() {
            return Some(Arc::new(RedisCache::new(redis)));
        }
        None
    }

    /// Creates a rate limiter: shared by all servers with Redis, otherwise of this process.
    #[cfg(feature = "http")]
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

    /// Adds readiness checks of the configured services.
    #[cfg(feature = "http")]
    pub(super) fn watched(&self, mut app: App) -> App {
        if let Some(bus) = self.bus.clone() {
            app = app.readiness_check("rabbitmq", move || {
                let bus = bus.clone();
                async move { bus.ping().await }
            });
        }
        #[cfg(feature = "redis")]
        if let Some(redis) = self.redis.clone() {
            app = app.readiness_check("redis", move || {
                let redis = redis.clone();
                async move { redis.ping().await }
            });
        }
        app
    }
}

/// Reads the files that belong to `REDIS_URL` and `RABBITMQ_URL`, such as certificates, without connecting.
///
/// # Errors
/// `InvalidInput` naming the setting.
pub fn check_shared(config: &Config) -> Result<()> {
    SharedParts::open(config).map(drop)
}

#[cfg(feature = "redis")]
fn redis(config: &Config) -> Result<Option<Redis>> {
    let Some(url) = &config.redis_url else { return Ok(None) };
    let read = |path: &std::path::PathBuf| {
        let unreadable = |e| Error::invalid("REDIS_CA_FILE", format!("cannot read {}: {e}", path.display()));
        std::fs::read(path).map_err(unreadable)
    };
    let roots = config.redis_ca_file.as_ref().map(read).transpose()?;
    Redis::at(url.expose(), roots.as_deref()).map(Some)
}

#[cfg(feature = "rabbitmq")]
fn bus(config: &Config) -> Result<Option<Arc<dyn MessageBus>>> {
    let Some(url) = &config.rabbitmq_url else { return Ok(None) };
    Ok(Some(Arc::new(RabbitMqMessageBus::at(url.expose())?)))
}

#[cfg(not(feature = "rabbitmq"))]
fn bus(_: &Config) -> Result<Option<Arc<dyn MessageBus>>> {
    Ok(None)
}
