//! Address lockout: addresses whose unknown tokens and API keys are rejected without verification, in the memory of
//! this process.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sutazai_core::domain::later;

/// Maximum number of locked-out addresses. Further ones are not remembered: their failures are still counted, but
/// each of their credentials is verified.
const MAX_LOCKED_OUT: usize = 100_000;
/// Number of entries from which expired ones are removed.
const CLEANUP_THRESHOLD: usize = 1_000;

/// Addresses with too many failed authentications, and the end of their lockout.
#[derive(Debug, Default)]
pub(crate) struct AddressLockout {
    until: Mutex<HashMap<IpAddr, DateTime<Utc>>>,
}

impl AddressLockout {
    /// Locks an address out for `time`.
    pub(crate) fn add(&self, address: IpAddr, now: DateTime<Utc>, time: Duration) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= CLEANUP_THRESHOLD {
            until.retain(|_, end| *end > now);
        }
        if until.len() < MAX_LOCKED_OUT {
            until.insert(address, later(now, time));
        }
    }

    /// Returns the remaining time of the lockout; `None` when the address is not locked out.
    pub(crate) fn left(&self, address: IpAddr, now: DateTime<Utc>) -> Option<Duration> {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let left = (*until.get(&address)? - now).to_std().ok()?;
        (!left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lockout_expires_and_is_removed() {
        let address_lockout = AddressLockout::default();
        let (now, time) = (DateTime::UNIX_EPOCH, Duration::from_secs(12));
        let address = |number: u32| IpAddr::V4(number.into());
        for number in 0..5_000 {
            address_lockout.add(address(number), now, time);
        }
        assert_eq!(
            address_lockout.left(address(7), now + Duration::from_secs(5)),
            Some(Duration::from_secs(7))
        );
        assert_eq!(address_lockout.left(address(7), now + time), None);
        assert_eq!(address_lockout.left(address(6_000), now), None);
        address_lockout.add(address(1), now + time, time);
        assert_eq!(address_lockout.until.lock().unwrap().len(), 1);
    }

    #[test]
    fn size_is_bounded() {
        let address_lockout = AddressLockout::default();
        let now = DateTime::UNIX_EPOCH;
        address_lockout.until.lock().unwrap().extend(
            (0..100_000).map(|number: u32| (IpAddr::V4(number.into()), now + Duration::from_secs(12))),
        );
        address_lockout.add(IpAddr::V4(200_000.into()), now, Duration::from_secs(12));
        assert_eq!(address_lockout.until.lock().unwrap().len(), 100_000);
    }
}
