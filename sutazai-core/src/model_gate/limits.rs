//! What one user may ask of the model: so many requests at once, so many a minute.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::UserId;
use crate::error::{Error, ErrorKind, Result};

/// With so many users known, those who have not asked for a minute are forgotten.
const KNOWN: usize = 10_000;

/// Who has used up what. The limit a minute is a token bucket (RFC 2697, one colour): after a minute of silence a user may
/// ask that often in a row, and then again as often as the minute allows.
#[derive(Debug)]
pub(super) struct Limits {
    at_once: usize,
    per_minute: f64,
    users: HashMap<UserId, Use>,
}

#[derive(Debug)]
struct Use {
    under_way: usize,
    left: f64,
    at: DateTime<Utc>,
}

impl Limits {
    pub(super) fn new(at_once: usize, per_minute: u32) -> Self {
        Self { at_once, per_minute: f64::from(per_minute), users: HashMap::new() }
    }

    /// Counts a request that begins; it is under way until [`end`](Self::end).
    ///
    /// # Errors
    /// `RateLimited`, with the time after which the next one is free where that is known; nothing is counted then.
    pub(super) fn begin(&mut self, user: UserId, now: DateTime<Utc>) -> Result<()> {
        let (at_once, per_minute) = (self.at_once, self.per_minute);
        let minutes = |from: DateTime<Utc>| (now - from).as_seconds_f64().max(0.0) / 60.0;
        if self.users.len() >= KNOWN {
            self.users.retain(|_, used| used.under_way > 0 || minutes(used.at) < 1.0);
        }
        let used = self.users.entry(user).or_insert(Use { under_way: 0, left: per_minute, at: now });
        used.left = (used.left + minutes(used.at) * per_minute).min(per_minute);
        used.at = now;
        let limited = |message| Error::new(ErrorKind::RateLimited, message);
        if used.under_way >= at_once {
            let message = format!("{at_once} requests of this user are under way already; no more may be");
            return Err(limited(message).with_retry_after(Duration::from_secs(1)));
        }
        if used.left < 1.0 {
            let after = Duration::from_secs_f64((1.0 - used.left) / per_minute * 60.0);
            let message = format!("a user may ask the model {per_minute} times a minute");
            return Err(limited(message).with_retry_after(after));
        }
        used.left -= 1.0;
        used.under_way += 1;
        Ok(())
    }

    /// A request that was counted has ended.
    pub(super) fn end(&mut self, user: UserId) {
        if let Some(used) = self.users.get_mut(&user) {
            used.under_way = used.under_way.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        Utc.timestamp_opt(seconds, 0).unwrap()
    }

    #[test]
    fn so_many_at_once() {
        let mut limits = Limits::new(2, 100);
        let [ada, eve] = [UserId::new(), UserId::new()];
        limits.begin(ada, at(0)).unwrap();
        limits.begin(ada, at(0)).unwrap();
        assert_eq!(limits.begin(ada, at(0)).unwrap_err().kind(), ErrorKind::RateLimited);
        limits.begin(eve, at(0)).unwrap();
        limits.end(ada);
        limits.begin(ada, at(0)).unwrap();
        limits.begin(ada, at(0)).unwrap_err();
    }

    #[test]
    fn so_many_a_minute() {
        let mut limits = Limits::new(100, 6);
        let [ada, eve] = [UserId::new(), UserId::new()];
        for _ in 0..6 {
            limits.begin(ada, at(0)).unwrap();
        }
        let e = limits.begin(ada, at(4)).unwrap_err();
        assert_eq!((e.kind(), e.retry_after()), (ErrorKind::RateLimited, Some(Duration::from_secs(6))));
        limits.begin(eve, at(4)).unwrap();
        limits.begin(ada, at(10)).unwrap();
        limits.begin(ada, at(10)).unwrap_err();
        for _ in 0..6 {
            limits.begin(ada, at(600)).unwrap();
        }
        limits.begin(ada, at(600)).unwrap_err();
    }

    #[test]
    fn those_who_are_silent_are_forgotten() {
        let mut limits = Limits::new(1, 1);
        let busy = UserId::new();
        limits.begin(busy, at(0)).unwrap();
        for _ in 1..KNOWN {
            let user = UserId::new();
            limits.begin(user, at(0)).unwrap();
            limits.end(user);
        }
        limits.begin(UserId::new(), at(61)).unwrap();
        assert_eq!(limits.users.len(), 2);
        limits.begin(busy, at(61)).unwrap_err();
    }
}
