//! Addresses whose guesses at tokens and keys are not looked at for now, in the memory of this process.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sutazai_core::domain::later;

/// So many are remembered at once. Above it new ones are still counted, but each of their guesses is looked at.
const MOST: usize = 100_000;
/// What is over is forgotten when there are more.
const MANY: usize = 1_000;

/// Who has guessed too often, and until when that counts.
#[derive(Debug, Default)]
pub(crate) struct ShutOut {
    until: Mutex<HashMap<IpAddr, DateTime<Utc>>>,
}

impl ShutOut {
    /// Shuts an address out for so long.
    pub(crate) fn add(&self, address: IpAddr, now: DateTime<Utc>, time: Duration) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= MANY {
            until.retain(|_, end| *end > now);
        }
        if until.len() < MOST {
            until.insert(address, later(now, time));
        }
    }

    /// For how long the address is shut out; none when it is not.
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
    fn it_ends_and_is_forgotten() {
        let shut_out = ShutOut::default();
        let (now, time) = (DateTime::UNIX_EPOCH, Duration::from_secs(12));
        let address = |number: u32| IpAddr::V4(number.into());
        for number in 0..5_000 {
            shut_out.add(address(number), now, time);
        }
        assert_eq!(shut_out.left(address(7), now + Duration::from_secs(5)), Some(Duration::from_secs(7)));
        assert_eq!(shut_out.left(address(7), now + time), None);
        assert_eq!(shut_out.left(address(6_000), now), None);
        shut_out.add(address(1), now + time, time);
        assert_eq!(shut_out.until.lock().unwrap().len(), 1);
    }

    #[test]
    fn it_is_bounded() {
        let shut_out = ShutOut::default();
        let now = DateTime::UNIX_EPOCH;
        shut_out.until.lock().unwrap().extend(
            (0..100_000).map(|number: u32| (IpAddr::V4(number.into()), now + Duration::from_secs(12))),
        );
        shut_out.add(IpAddr::V4(200_000.into()), now, Duration::from_secs(12));
        assert_eq!(shut_out.until.lock().unwrap().len(), 100_000);
    }
}
