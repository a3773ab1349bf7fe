//! [`RateLimiter`] in Redis, so that several servers count together: the generic cell rate algorithm (ITU-T
//! I.371) in one script, which Redis runs atomically.
//!
//! Redis stores one number per key: when the full quota is available again, in microseconds since 1970. The
//! key expires at that time. The time comes with each request, so the clocks of the servers should agree. A
//! wrong clock can block a key for one window at most: a stored time that is further ahead is reduced to one
//! window.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ::redis::Script;
use async_trait::async_trait;
use sutazai_core::Result;
use sutazai_core::ports::{Clock, Quota, RateKey, RateLimitDecision, RateLimiter};

use super::Redis;

/// Counts one request. `KEYS`: the key. `ARGV`: now, the time after which one request is available again, the
/// limit. Returns whether the request is granted, and the time until the full quota or, if rejected, one
/// request is available; all in microseconds.
static COUNT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local now, one, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
         local whole = one * limit
         local kept = tonumber(redis.call('GET', KEYS[1]) or 0) - now
         local function keep(used)
             redis.call('SET', KEYS[1], string.format('%.0f', now + used), 'PX', math.ceil(used / 1000))
         end
         if kept > whole then kept = whole; keep(kept) end
         local used = math.max(kept, 0) + one
         if used > whole then return {0, used - whole} end
         keep(used)
         return {1, used}",
    )
});

/// Rate limiter that counts in Redis, and in this process while Redis is unreachable.
pub struct RedisRateLimiter {
    redis: Redis,
    name: String,
    quota: Quota,
    clock: Arc<dyn Clock>,
    own: Arc<dyn RateLimiter>,
}

impl RedisRateLimiter {
    /// Creates a limiter with the quota of `own`. Servers that use the same `name` count together; `own`
    /// counts while Redis is unreachable.
    pub fn new(
        redis: Redis,
        name: impl Into<String>,
        own: Arc<dyn RateLimiter>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { redis, name: name.into(), quota: own.quota(), clock, own }
    }

    async fn count(&self, key: &RateKey) -> Result<(bool, Duration)> {
        let mut count = COUNT.key(format!("rate:{}:{key}", self.name));
        let quota = self.quota.of(key);
        count.arg(self.clock.now().timestamp_micros()).arg(one(quota)).arg(quota.limit);
        let run = async |mut on| count.invoke_async::<(u8, u64)>(&mut on).await;
        let (passes, after) = self.redis.run(run).await?;
        Ok((passes == 1, Duration::from_micros(after)))
    }
}

#[async_trait]
impl RateLimiter for RedisRateLimiter {
    fn quota(&self) -> Quota {
        self.quota
    }

    async fn take(&self, key: &RateKey) -> Result<RateLimitDecision> {
        match self.count(key).await {
            Ok((true, whole_after)) => {
                let quota = self.quota.of(key);
                let used = microseconds(whole_after).div_ceil(one(quota));
                let used = u32::try_from(used).unwrap_or(u32::MAX);
                Ok(RateLimitDecision::Granted { remaining: quota.limit.saturating_sub(used), whole_after })
            }
            Ok((false, retry_after)) => Ok(RateLimitDecision::Refused { retry_after }),
            Err(_) => self.own.take(key).await,
        }
    }
}

impl fmt::Debug for RedisRateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRateLimiter")
            .field("name", &self.name)
            .field("quota", &self.quota)
            .finish_non_exhaustive()
    }
}

/// Returns the time after which one request is available again, in microseconds.
fn one(quota: Quota) -> u64 {
    (microseconds(quota.window) / u64::from(quota.limit.max(1))).max(1)
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
