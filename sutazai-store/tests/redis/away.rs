//! Redis becomes unreachable, hangs, and becomes reachable again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sutazai_core::ErrorKind;
use sutazai_core::domain::UserId;
use sutazai_core::ports::{Cache, Clock, Quota, RateKey, RateLimitDecision, RateLimiter, SystemClock};
use sutazai_core::testing::MockRateLimiter;
use sutazai_store::redis::{Redis, RedisCache, RedisRateLimiter};

use crate::HANG_LIMIT;
use crate::place::Server;

/// Timeout of one call to a Redis that hangs. Sequential calls that all waited would take this times their
/// number.
const CALL_LIMIT: Duration = Duration::from_millis(500);

/// Local limiter that grants everything, with a value that identifies its answers.
fn own() -> Arc<MockRateLimiter> {
    let mut own = MockRateLimiter::new();
    own.expect_quota().return_const(Quota::per_minute(1_000));
    own.expect_take()
        .returning(|_| Ok(RateLimitDecision::Granted { remaining: 77_777, whole_after: Duration::ZERO }));
    Arc::new(own)
}

async fn counted_here(limiter: &RedisRateLimiter, key: &RateKey) -> bool {
    matches!(limiter.take(key).await.unwrap(), RateLimitDecision::Granted { remaining: 77_777, .. })
}

async fn until_back(redis: &Redis) {
    let begun = Instant::now();
    while redis.ping().await.is_err() {
        assert!(begun.elapsed() < HANG_LIMIT, "Redis is running but was not found again");
        SystemClock.sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_fall_back_while_redis_is_restarted_or_hangs() {
    let mut server = Server::start(None);
    let (port, redis) = (server.port.clone(), Redis::at(&server.url, None).unwrap());
    let limiter = RedisRateLimiter::new(redis.clone(), "calls", own(), Arc::new(SystemClock));
    let cache = RedisCache::new(redis.clone());
    let key = RateKey::User(UserId::new());
    assert!(!counted_here(&limiter, &key).await);

    for round in 0..2 {
        drop(server);
        let begun = Instant::now();
        for _ in 0..1_000 {
            assert!(counted_here(&limiter, &key).await, "round {round}");
        }
        assert!(begun.elapsed() < CALL_LIMIT * 1_000 / 2, "{:?} for an unreachable Redis", begun.elapsed());
        assert_eq!(cache.get("x").await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(redis.ping().await.unwrap_err().kind(), ErrorKind::Unavailable);
        server = Server::start(Some(&port));
        until_back(&redis).await;
        // The restarted server does not have the script any more, so it is loaded again.
        assert!(!counted_here(&limiter, &key).await, "round {round}");
        cache.put("x", "y", Duration::from_secs(60)).await.unwrap();
    }

    server.signal("STOP");
    let begun = Instant::now();
    for _ in 0..100 {
        assert!(counted_here(&limiter, &key).await);
    }
    assert!(begun.elapsed() < CALL_LIMIT * 100 / 2, "{:?} for a hanging Redis", begun.elapsed());
    server.signal("CONT");
    until_back(&redis).await;
    assert!(!counted_here(&limiter, &key).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_starts_later_is_found() {
    let port = Server::start(None).port.clone();
    let redis = Redis::at(&format!("redis://:correct-horse@127.0.0.1:{port}/0"), None).unwrap();
    assert_eq!(redis.ping().await.unwrap_err().kind(), ErrorKind::Unavailable);
    let _server = Server::start(Some(&port));
    until_back(&redis).await;
    let wrong = Redis::at(&format!("redis://:wrong-horse@127.0.0.1:{port}/0"), None).unwrap();
    let e = wrong.ping().await.unwrap_err();
    assert!(!format!("{e:?} {wrong:?}").contains("wrong-horse"), "{e:?}");
}
