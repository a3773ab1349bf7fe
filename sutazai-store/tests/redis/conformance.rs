//! `RedisRateLimiter` and `RedisCache` against the suites of their ports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sutazai_core::domain::UserId;
use sutazai_core::ports::{Clock, Quota, RateKey, RateLimitDecision, RateLimiter, SystemClock};
use sutazai_core::testing::{ManualClock, cache, rate_limiter};
use sutazai_core::{Error, Result};
use sutazai_store::redis::{Redis, RedisCache, RedisRateLimiter};

use crate::place::Server;

/// Limiter with a quota that must not be called.
#[derive(Debug)]
struct NotAsked(Quota);

#[async_trait]
impl RateLimiter for NotAsked {
    fn quota(&self) -> Quota {
        self.0
    }

    async fn take(&self, _: &RateKey) -> Result<RateLimitDecision> {
        Err(Error::internal("the local limiter must not be called while Redis is reachable"))
    }
}

#[tokio::test]
async fn rate_limiter_conforms() {
    let server = Server::start(None);
    let redis = Redis::at(&server.url, None).unwrap();
    let fresh = AtomicU32::new(0);
    rate_limiter::run_all(|quota, clock| {
        let name = format!("suite-{}", fresh.fetch_add(1, Ordering::Relaxed));
        let limiter = RedisRateLimiter::new(redis.clone(), name, Arc::new(NotAsked(quota)), clock);
        async { Arc::new(limiter) }
    })
    .await;
}

#[tokio::test]
async fn cache_conforms() {
    let server = Server::start(None);
    let redis = Redis::at(&server.url, None).unwrap();
    let pass = async |pause| SystemClock.sleep(pause).await;
    cache::run_all(Arc::new(RedisCache::new(redis)), pass).await;
}

#[tokio::test]
async fn servers_count_together_and_a_wrong_clock_blocks_one_window_at_most() {
    let server = Server::start(None);
    let quota = Quota::per_minute(10);
    let [right, ahead] = [Arc::new(ManualClock::new()), Arc::new(ManualClock::new())];
    ahead.advance(Duration::from_secs(3_600));
    let limiter = |clock: &Arc<ManualClock>| {
        // Each has a connection of its own, as in a process of its own.
        let redis = Redis::at(&server.url, None).unwrap();
        RedisRateLimiter::new(redis, "calls", Arc::new(NotAsked(quota)), clock.clone())
    };
    let (first, second, wrong) = (limiter(&right), limiter(&right), limiter(&ahead));
    let key = RateKey::User(UserId::new());
    for used in 1..=10 {
        let taken = [&first, &second][used % 2].take(&key).await.unwrap();
        assert!(
            matches!(taken, RateLimitDecision::Granted { remaining, .. } if remaining as usize == 10 - used)
        );
    }
    for limiter in [&first, &second] {
        assert!(matches!(limiter.take(&key).await.unwrap(), RateLimitDecision::Refused { .. }));
    }
    while matches!(wrong.take(&key).await.unwrap(), RateLimitDecision::Granted { .. }) {}
    let RateLimitDecision::Refused { retry_after } = first.take(&key).await.unwrap() else {
        panic!("the requests that the wrong clock counted must count");
    };
    assert!(retry_after <= Duration::from_secs(60), "{retry_after:?}");
    right.advance(Duration::from_secs(61));
    assert!(matches!(second.take(&key).await.unwrap(), RateLimitDecision::Granted { .. }));
}

#[test]
fn invalid_address_names_the_setting_and_not_the_password() {
    for url in ["localhost:6379", "http://:correct-horse@here/", "redis://:correct-horse@here/nine"] {
        let e = Redis::at(url, None).unwrap_err();
        assert_eq!(e.field(), Some("REDIS_URL"), "{url}: {e}");
        assert!(!format!("{e:?}").contains("horse"), "{e:?}");
    }
}
