//! In-process [`RateLimiter`], based on the generic cell rate algorithm (ITU-T I.371) of the crate `governor`: one
//! atomic number per key in a sharded map, so that callers do not block each other.
//!
//! API keys with a lower limit of their own have a map for each such limit. Entries whose quota is full again are
//! removed, which bounds the map by the number of callers within one window. To bound it also against an attacker who
//! controls whole networks, addresses are counted by network while the map is full.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use governor::clock::Clock as GovernorClock;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use sutazai_core::Result;
use sutazai_core::ports::{Clock, Quota, RateKey, RateLimitDecision, RateLimiter};

/// Number of keys above which addresses are counted by network; about 10 MB.
const MAX_EXACT_KEYS: usize = 100_000;
/// Number of requests between two clean-ups of the map.
const FORGET_EVERY: u32 = 1_024;

type Limiter =
    governor::RateLimiter<RateKey, DashMapStateStore<RateKey>, PortClock, StateInformationMiddleware>;

/// Rate limiter that counts the requests of this process only.
pub struct GovernorRateLimiter {
    quota: Quota,
    clock: PortClock,
    limiter: Limiter,
    /// Limiters of API keys with a lower limit, by that limit.
    lower: RwLock<HashMap<u32, Arc<Limiter>>>,
    many: usize,
    requests: AtomicU32,
    full: AtomicBool,
}

impl GovernorRateLimiter {
    /// Creates a limiter with this quota that uses the time of `clock`. A limit of 0 counts as 1.
    pub fn new(quota: Quota, clock: Arc<dyn Clock>) -> Self {
        Self::of_size(quota, clock, MAX_EXACT_KEYS)
    }

    fn of_size(quota: Quota, clock: Arc<dyn Clock>, many: usize) -> Self {
        let clock = PortClock(clock);
        let quota = Quota { limit: quota.limit.max(1), ..quota };
        Self {
            quota,
            limiter: limiter(quota, clock.clone()),
            lower: RwLock::default(),
            clock,
            many,
            requests: AtomicU32::new(0),
            full: AtomicBool::new(false),
        }
    }

    /// Removes entries with a full quota, once in [`FORGET_EVERY`] requests.
    fn forget(&self) {
        if self.requests.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.limiter.retain_recent();
            self.lower.write().unwrap_or_else(PoisonError::into_inner).retain(|_, limiter| {
                limiter.retain_recent();
                !limiter.is_empty()
            });
            let full = self.limiter.len() >= self.many;
            if full && !self.full.swap(true, Ordering::Relaxed) {
                tracing::warn!("requests come from very many addresses; they are counted by network");
            } else if !full {
                self.full.store(false, Ordering::Relaxed);
                self.limiter.shrink_to_fit();
            }
        }
    }

    /// Returns the limiter for keys with this lower limit; creates it on first use.
    fn of_limit(&self, quota: Quota) -> Arc<Limiter> {
        let known = self.lower.read().unwrap_or_else(PoisonError::into_inner).get(&quota.limit).cloned();
        known.unwrap_or_else(|| {
            let mut lower = self.lower.write().unwrap_or_else(PoisonError::into_inner);
            lower.entry(quota.limit).or_insert_with(|| Arc::new(limiter(quota, self.clock.clone()))).clone()
        })
    }

    fn ask(&self, limiter: &Limiter, key: &RateKey, quota: Quota) -> RateLimitDecision {
        match limiter.check_key(key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let one = quota.window / quota.limit;
                RateLimitDecision::Granted { remaining, whole_after: one * (quota.limit - remaining) }
            }
            Err(until) => RateLimitDecision::Refused { retry_after: until.wait_time_from(self.clock.now()) },
        }
    }
}

fn limiter(quota: Quota, clock: PortClock) -> Limiter {
    let limit = NonZeroU32::new(quota.limit).unwrap_or(NonZeroU32::MIN);
    let one = quota.window.max(Duration::from_nanos(limit.get().into())) / limit.get();
    let counted =
        governor::Quota::with_period(one).unwrap_or(governor::Quota::per_minute(limit)).allow_burst(limit);
    Limiter::new(counted, DashMapStateStore::default(), clock)
}

impl fmt::Debug for GovernorRateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GovernorRateLimiter").field("quota", &self.quota).finish_non_exhaustive()
    }
}

#[async_trait]
impl RateLimiter for GovernorRateLimiter {
    fn quota(&self) -> Quota {
        self.quota
    }

    async fn take(&self, key: &RateKey) -> Result<RateLimitDecision> {
        self.forget();
        let key = if self.full.load(Ordering::Relaxed) { coarser(key) } else { *key };
        let quota = self.quota.of(&key);
        Ok(match quota == self.quota {
            true => self.ask(&self.limiter, &key, quota),
            false => self.ask(&self.of_limit(quota), &key, quota),
        })
    }
}

/// Maps an address key to its network: /16 for IPv4 and /32 for IPv6. Few parties own a network of this size, and
/// nobody owns thousands.
fn coarser(key: &RateKey) -> RateKey {
    let network = |address: &IpAddr| match address {
        IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 16))),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 96))),
    };
    match key {
        RateKey::Address(address) => RateKey::Address(network(address)),
        RateKey::FailedAuth(address) => RateKey::FailedAuth(network(address)),
        RateKey::User(_) | RateKey::Key { .. } => *key,
    }
}

/// Adapter from the [`Clock`] port to the clock of `governor`.
#[derive(Clone)]
pub(crate) struct PortClock(pub(crate) Arc<dyn Clock>);

impl GovernorClock for PortClock {
    type Instant = Duration;

    /// Time since 1970; an earlier time counts as 1970.
    fn now(&self) -> Duration {
        let nanoseconds = self.0.now().timestamp_nanos_opt().unwrap_or_default();
        Duration::from_nanos(nanoseconds.try_into().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::{ApiKeyId, UserId};
    use sutazai_core::testing::ManualClock;

    use super::*;

    #[tokio::test]
    async fn conforms() {
        sutazai_core::testing::rate_limiter::run_all(|quota, clock| async move {
            Arc::new(GovernorRateLimiter::new(quota, clock))
        })
        .await;
    }

    fn address(number: u32) -> RateKey {
        RateKey::Address(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    #[tokio::test]
    async fn idle_callers_are_evicted_after_a_window() {
        let clock = Arc::new(ManualClock::new());
        let limiter = GovernorRateLimiter::new(Quota::per_minute(5), clock.clone());
        for number in 0..20_000 {
            limiter.take(&address(number)).await.unwrap();
        }
        assert_eq!(limiter.limiter.len(), 20_000);
        clock.advance(Duration::from_secs(61));
        for _ in 0..FORGET_EVERY {
            limiter.take(&address(1)).await.unwrap();
        }
        assert_eq!(limiter.limiter.len(), 1);
    }

    #[tokio::test]
    async fn unused_limits_are_evicted() {
        let clock = Arc::new(ManualClock::new());
        let limiter = GovernorRateLimiter::new(Quota::per_minute(1_000), clock.clone());
        let key = |limit| RateKey::Key { id: ApiKeyId::new(), limit: NonZeroU32::new(limit).unwrap() };
        for limit in 1..=1_000 {
            limiter.take(&key(limit)).await.unwrap();
        }
        assert_eq!(limiter.lower.read().unwrap().len(), 999);
        clock.advance(Duration::from_secs(121));
        for _ in 0..FORGET_EVERY {
            limiter.take(&key(7)).await.unwrap();
        }
        assert_eq!(limiter.lower.read().unwrap().keys().collect::<Vec<_>>(), [&7]);
    }

    #[tokio::test]
    async fn flood_of_addresses_is_counted_by_network_but_users_are_not() {
        let clock = Arc::new(ManualClock::new());
        let limiter = GovernorRateLimiter::of_size(Quota::per_minute(5), clock.clone(), 1_000);
        for number in 0..100_000 {
            limiter.take(&address(number)).await.unwrap();
        }
        assert!(limiter.limiter.len() < 1_000 + 2 * FORGET_EVERY as usize, "{}", limiter.limiter.len());
        assert!(matches!(limiter.take(&address(7)).await.unwrap(), RateLimitDecision::Refused { .. }));
        for key in [address(0xc000_0201), RateKey::User(UserId::new()), RateKey::User(UserId::new())] {
            assert!(matches!(
                limiter.take(&key).await.unwrap(),
                RateLimitDecision::Granted { remaining: 4, .. }
            ));
        }
        clock.advance(Duration::from_secs(61));
        for _ in 0..FORGET_EVERY {
            limiter.take(&RateKey::User(UserId::new())).await.unwrap();
        }
        assert!(!limiter.full.load(Ordering::Relaxed) || limiter.limiter.len() >= 1_000);
    }
}
