//! What processes share beside the database, where it is configured: limits and a cache in the Redis of `REDIS_URL`, and the
//! RabbitMQ of `RABBITMQ_URL` that other programs hear of events over.

use std::sync::Arc;

#[cfg(feature = "redis")]
use sutazai_core::Error;
use sutazai_core::Result;
use sutazai_core::ports::{Cache, Clock, MessageBus, Quota, RateLimiter};
use sutazai_core::relay::Relay;
use sutazai_http::{App, GovernorRateLimiter};
use sutazai_store::Stores;
#[cfg(feature = "rabbitmq")]
use sutazai_store::rabbitmq::RabbitMqMessageBus;
#[cfg(feature = "redis")]
use sutazai_store::redis::{Redis, RedisCache, RedisRateLimiter};

use crate::config::Config;

/// What there is to be of it. Clones share its connections.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedParts {
    #[cfg(feature = "redis")]
    redis: Option<Redis>,
    bus: Option<Arc<dyn MessageBus>>,
}

impl SharedParts {
    /// What the configuration names; it need not be there yet. What is not built in, the configuration cannot name.
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

    /// What passes events on to the bus.
    pub(super) fn relay(&self, stores: &Stores, clock: &Arc<dyn Clock>) -> Option<Arc<Relay>> {
        let bus = self.bus.clone()?;
        Some(Arc::new(Relay::new(stores.tasks.clone(), stores.relays.clone(), bus, clock.clone())))
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

    /// Has the server's readiness speak of what can be away.
    pub(super) fn watched(&self, mut app: App) -> App {
        if let Some(bus) = self.bus.clone() {
            app = app.uses("rabbitmq", move || {
                let bus = bus.clone();
                async move { bus.reach().await }
            });
        }
        #[cfg(feature = "redis")]
        if let Some(redis) = self.redis.clone() {
            app = app.uses("redis", move || {
                let redis = redis.clone();
                async move { redis.reach().await }
            });
        }
        app
    }
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
