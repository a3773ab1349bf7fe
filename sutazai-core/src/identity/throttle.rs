//! Throttle of failed sign-ins to one account, from any number of addresses.
//!
//! After ten failures one attempt passes every 2 s, and an attempt that would wait more than 10 s is rejected with a
//! retry time. The account is never locked, because a lockout would let anybody exclude its user: an address from which
//! the user signed in within 30 days does not wait at all. The counters are kept per process.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::later;
use crate::error::{Error, ErrorKind, Result};

/// Number of failures without a delay.
const FREE_FAILURES: u32 = 10;
/// Time after which one failure is forgotten.
const FORGET_INTERVAL: TimeDelta = TimeDelta::seconds(60);
/// Interval between attempts on an account with too many failures.
const FAILED_AUTH_INTERVAL: TimeDelta = TimeDelta::seconds(2);
/// Maximum delay of an attempt.
const MAX_DELAY: TimeDelta = TimeDelta::seconds(10);
/// Time for which the address of a successful sign-in is known.
const ADDRESS_TTL: TimeDelta = TimeDelta::days(30);
/// Maximum number of known addresses of an account.
const MAX_ADDRESSES: usize = 8;
/// Maximum number of tracked accounts; the oldest one is evicted first.
const MAX_ACCOUNTS: usize = 100_000;

/// Failures and known addresses by account.
#[derive(Debug, Default)]
pub(super) struct AccountThrottle {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    accounts: HashMap<String, Account>,
    /// Accounts in the order in which they were added.
    order: VecDeque<String>,
}

#[derive(Debug, Default)]
struct Account {
    failures: u32,
    failed_at: DateTime<Utc>,
    /// Time at which the next attempt may pass.
    next_guess: DateTime<Utc>,
    /// Addresses from which the user signed in, with their times, the latest last.
    addresses: VecDeque<(IpAddr, DateTime<Utc>)>,
}

impl AccountThrottle {
    /// Returns how long an attempt on this account must wait. The account is the typed login, so that an unknown one is
    /// delayed like any other.
    ///
    /// # Errors
    /// `RateLimited` with a retry time if the delay would exceed 10 s.
    pub(super) fn delay(&self, account: &str, from: Option<IpAddr>, now: DateTime<Utc>) -> Result<Duration> {
        let mut state = self.lock();
        let Some(account) = state.accounts.get_mut(account) else { return Ok(Duration::ZERO) };
        account.forget(now);
        if account.failures < FREE_FAILURES || account.knows(from, now) {
            return Ok(Duration::ZERO);
        }
        let delay = (account.next_guess - now).max(TimeDelta::zero());
        if delay > MAX_DELAY {
            let busy = "too many failed sign-ins to this account: come again later";
            let retry_after = (delay - MAX_DELAY).to_std().unwrap_or_default();
            return Err(Error::new(ErrorKind::RateLimited, busy).with_retry_after(retry_after));
        }
        account.next_guess = later(now, (delay + FAILED_AUTH_INTERVAL).to_std().unwrap_or_default());
        Ok(delay.to_std().unwrap_or_default())
    }

    /// Counts a failed attempt on the account.
    pub(super) fn failed(&self, account: &str, now: DateTime<Utc>) {
        let mut state = self.lock();
        let account = state.touch(account);
        account.forget(now);
        account.failures = account.failures.saturating_add(1).min(2 * FREE_FAILURES);
        account.failed_at = now;
    }

    /// Records an address from which the user of the account signed in.
    pub(super) fn succeeded(&self, account: &str, from: Option<IpAddr>, now: DateTime<Utc>) {
        let Some(address) = from else { return };
        let mut state = self.lock();
        let account = state.touch(account);
        account.addresses.retain(|(known, at)| *known != address && now - *at < ADDRESS_TTL);
        account.addresses.push_back((address, now));
        if account.addresses.len() > MAX_ADDRESSES {
            account.addresses.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn touch(&mut self, account: &str) -> &mut Account {
        if !self.accounts.contains_key(account) {
            if self.order.len() >= MAX_ACCOUNTS
                && let Some(oldest) = self.order.pop_front()
            {
                self.accounts.remove(&oldest);
            }
            self.order.push_back(account.to_owned());
        }
        self.accounts.entry(account.to_owned()).or_default()
    }
}

impl Account {
    /// Forgets one failure for each interval that has passed.
    fn forget(&mut self, now: DateTime<Utc>) {
        let passed = (now - self.failed_at).num_seconds() / FORGET_INTERVAL.num_seconds();
        let Ok(passed) = u32::try_from(passed) else { return };
        if passed > 0 {
            self.failures = self.failures.saturating_sub(passed);
            self.failed_at = now;
        }
    }

    fn knows(&self, from: Option<IpAddr>, now: DateTime<Utc>) -> bool {
        self.addresses.iter().any(|(known, at)| Some(*known) == from && now - *at < ADDRESS_TTL)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        Utc.timestamp_opt(1_767_225_600 + second, 0).unwrap()
    }

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn repeated_failures_delay_an_account_without_locking_it() {
        let throttle = AccountThrottle::default();
        throttle.succeeded("ada", address(1), at(0));
        for n in 0..10 {
            assert_eq!(throttle.delay("ada", address(n), at(1)).unwrap(), Duration::ZERO);
            throttle.failed("ada", at(1));
        }
        let delays: Vec<u64> =
            (2..8).map(|n| throttle.delay("ada", address(n), at(2)).unwrap().as_secs()).collect();
        assert_eq!(delays, [0, 2, 4, 6, 8, 10]);
        let refused = throttle.delay("ada", address(9), at(2)).unwrap_err();
        assert_eq!(
            (refused.kind(), refused.retry_after()),
            (ErrorKind::RateLimited, Some(Duration::from_secs(2)))
        );
        assert_eq!(throttle.delay("ada", address(1), at(2)).unwrap(), Duration::ZERO, "a known address");
        assert_eq!(throttle.delay("eve", address(9), at(2)).unwrap(), Duration::ZERO, "another account");
        assert!(throttle.delay("ada", address(9), at(14)).is_ok(), "later");
        assert_eq!(throttle.delay("ada", address(9), at(700)).unwrap(), Duration::ZERO, "forgotten");
    }

    #[test]
    fn kept_keys_are_bounded() {
        let throttle = AccountThrottle::default();
        for n in 0..MAX_ACCOUNTS + 10 {
            throttle.failed(&n.to_string(), at(0));
        }
        assert_eq!(throttle.lock().accounts.len(), MAX_ACCOUNTS);
        for n in 0..20 {
            throttle.succeeded("ada", address(n), at(0));
        }
        assert_eq!(throttle.lock().accounts["ada"].addresses.len(), MAX_ADDRESSES);
    }
}
