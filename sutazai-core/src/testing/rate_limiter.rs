//! Conformance suite of the port [`RateLimiter`].

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use super::ManualClock;
use crate::domain::{ApiKeyId, UserId};
use crate::ports::{Quota, RateKey, RateLimitDecision, RateLimiter};

/// Quota that restores one request every 12 s.
const QUOTA: Quota = Quota { limit: 5, window: Duration::from_secs(60) };
const RESTORE_INTERVAL: Duration = Duration::from_secs(12);
const MARGIN: Duration = Duration::from_millis(10);

/// Runs every check of the contract; `make` creates a limiter with this quota and clock.
pub async fn run_all<L, F>(make: impl Fn(Quota, Arc<ManualClock>) -> F)
where
    L: RateLimiter + ?Sized,
    F: Future<Output = Arc<L>>,
{
    let fresh = async || {
        let clock = Arc::new(ManualClock::new());
        (make(QUOTA, clock.clone()).await, clock)
    };
    let (limiter, _) = fresh().await;
    requests_within_the_quota_pass(&*limiter).await;
    let (limiter, clock) = fresh().await;
    used_quota_is_restored_evenly(&*limiter, &clock).await;
    let (limiter, clock) = fresh().await;
    rejected_request_passes_after_its_retry_delay(&*limiter, &clock).await;
    let (limiter, clock) = fresh().await;
    rejected_request_consumes_no_quota(&*limiter, &clock).await;
    let (limiter, _) = fresh().await;
    keys_are_independent(&*limiter).await;
    let (limiter, clock) = fresh().await;
    lower_limit_of_a_key_applies(&*limiter, &clock).await;
    let (limiter, _) = fresh().await;
    requests_at_the_same_time_get_no_more(&*limiter).await;
}

/// A key may send a burst of as many requests as the quota allows, and no more.
pub async fn requests_within_the_quota_pass<L: RateLimiter + ?Sized>(limiter: &L) {
    assert_eq!(limiter.quota(), QUOTA);
    let key = address(1);
    for used in 1..=QUOTA.limit {
        let RateLimitDecision::Granted { remaining, whole_after } = limiter.take(&key).await.unwrap() else {
            panic!("request {used} of {} was refused", QUOTA.limit);
        };
        assert_eq!(remaining, QUOTA.limit - used);
        assert!(
            whole_after <= QUOTA.window && whole_after + MARGIN >= RESTORE_INTERVAL * used,
            "{whole_after:?}"
        );
    }
    let RateLimitDecision::Refused { retry_after } = limiter.take(&key).await.unwrap() else {
        panic!("request {} passed", QUOTA.limit + 1);
    };
    assert!(retry_after > Duration::ZERO && retry_after <= RESTORE_INTERVAL, "{retry_after:?}");
}

/// Used requests are restored evenly over the window, never beyond the quota.
pub async fn used_quota_is_restored_evenly<L: RateLimiter + ?Sized>(limiter: &L, clock: &ManualClock) {
    let key = address(1);
    assert_eq!(granted(limiter, &key, 10).await, QUOTA.limit);
    for (pause, back) in
        [(RESTORE_INTERVAL, 1), (RESTORE_INTERVAL * 3, 3), (QUOTA.window, 5), (QUOTA.window * 100, 5)]
    {
        clock.advance(pause + MARGIN);
        assert_eq!(granted(limiter, &key, 10).await, back, "after {pause:?}");
    }
}

/// A rejected request passes after the announced time, and not before.
pub async fn rejected_request_passes_after_its_retry_delay<L: RateLimiter + ?Sized>(
    limiter: &L,
    clock: &ManualClock,
) {
    let key = address(1);
    granted(limiter, &key, QUOTA.limit).await;
    let RateLimitDecision::Refused { retry_after } = limiter.take(&key).await.unwrap() else {
        panic!("more passed than the quota says");
    };
    clock.advance(retry_after - MARGIN);
    assert_eq!(granted(limiter, &key, 1).await, 0);
    clock.advance(MARGIN);
    assert_eq!(granted(limiter, &key, 1).await, 1);
}

/// A rejected request uses nothing up.
pub async fn rejected_request_consumes_no_quota<L: RateLimiter + ?Sized>(limiter: &L, clock: &ManualClock) {
    let key = address(1);
    granted(limiter, &key, 100).await;
    clock.advance(RESTORE_INTERVAL + MARGIN);
    assert_eq!(granted(limiter, &key, 1).await, 1);
}

/// Requests of one key take nothing from another.
pub async fn keys_are_independent<L: RateLimiter + ?Sized>(limiter: &L) {
    let users = [UserId::new(), UserId::new()].map(RateKey::User);
    let keys = [key_of(QUOTA.limit), key_of(QUOTA.limit)];
    let failed_auth = RateKey::FailedAuth(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    for key in [address(1), address(2), failed_auth, users[0], users[1], keys[0], keys[1]] {
        assert_eq!(granted(limiter, &key, 10).await, QUOTA.limit, "{key}");
    }
}

/// A key with a lower limit of its own has that instead of the quota's.
pub async fn lower_limit_of_a_key_applies<L: RateLimiter + ?Sized>(limiter: &L, clock: &ManualClock) {
    for (limit, passed) in [(1, 1), (3, 3), (3, 3), (QUOTA.limit, QUOTA.limit), (1_000_000, QUOTA.limit)] {
        assert_eq!(granted(limiter, &key_of(limit), 10).await, passed, "{limit}");
    }
    let key = key_of(2);
    let RateLimitDecision::Granted { remaining, whole_after } = limiter.take(&key).await.unwrap() else {
        panic!("the first was refused");
    };
    assert_eq!((remaining, whole_after), (1, QUOTA.window / 2));
    assert_eq!(granted(limiter, &key, 10).await, 1);
    clock.advance(QUOTA.window / 2 + MARGIN);
    assert_eq!(granted(limiter, &key, 10).await, 1);
}

/// Concurrent requests of one key get no more than sequential ones.
pub async fn requests_at_the_same_time_get_no_more<L: RateLimiter + ?Sized>(limiter: &L) {
    let key = address(1);
    let all = join_all((0..50).map(|_| limiter.take(&key))).await;
    let passed = all.into_iter().filter(|one| matches!(one, Ok(RateLimitDecision::Granted { .. }))).count();
    assert_eq!(passed, 5);
}

/// Sends requests and returns how many of them passed.
async fn granted<L: RateLimiter + ?Sized>(limiter: &L, key: &RateKey, requests: u32) -> u32 {
    let mut passed = 0;
    for _ in 0..requests {
        passed += u32::from(matches!(limiter.take(key).await.unwrap(), RateLimitDecision::Granted { .. }));
    }
    passed
}

fn key_of(limit: u32) -> RateKey {
    RateKey::Key { id: ApiKeyId::new(), limit: NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN) }
}

fn address(last: u8) -> RateKey {
    RateKey::Address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)))
}
