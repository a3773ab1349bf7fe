//! Limits of interactive requests: how many a user may have in flight, and how many per minute.
//!
//! Both are counted per user, so that many API keys give no advantage. A key with a limit of its own is also held to
//! that one, so that its program leaves something to the other clients of the user.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::{ApiKeyId, Caller, UserId};
use crate::error::{Error, ErrorKind, Result};

/// Number of known callers above which those without a request in the last minute are evicted.
const MAX_IDLE_CALLERS: usize = 10_000;

/// Subject whose limits apply to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Holder {
    user: UserId,
    /// Id and limit per minute of an API key that has one.
    key: Option<(ApiKeyId, NonZeroU32)>,
}

impl Holder {
    /// Returns the subject of this caller; `None` for the system, which has no limits.
    pub(super) fn of(caller: &Caller) -> Option<Self> {
        match caller {
            Caller::System => None,
            Caller::User { id, .. } => Some(Self { user: *id, key: None }),
            Caller::Key { id, user, requests_per_minute, .. } => {
                Some(Self { user: *user, key: requests_per_minute.map(|limit| (*id, limit)) })
            }
        }
    }
}

/// Current usage of the limits. The limit per minute is a token bucket (RFC 2697, one color): after a minute without
/// requests, a caller may send a whole burst, and then continues at the rate of the limit.
#[derive(Debug)]
pub(super) struct Limits {
    at_once: usize,
    per_minute: u32,
    under_way: HashMap<UserId, usize>,
    asked: HashMap<Asker, Bucket>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Asker {
    User(UserId),
    Key(ApiKeyId),
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: DateTime<Utc>,
}

impl Limits {
    pub(super) fn new(at_once: usize, per_minute: u32) -> Self {
        Self { at_once, per_minute, under_way: HashMap::new(), asked: HashMap::new() }
    }

    /// Counts a request that starts; it is in flight until [`end`](Self::end).
    ///
    /// # Errors
    /// `RateLimited` with a retry time; nothing is counted then.
    pub(super) fn begin(&mut self, holder: Holder, now: DateTime<Utc>) -> Result<()> {
        let limited = |message, after| Error::new(ErrorKind::RateLimited, message).with_retry_after(after);
        let at_once = self.at_once;
        if self.under_way.get(&holder.user).is_some_and(|under_way| *under_way >= at_once) {
            let message = format!("expected at most {at_once} concurrent requests of one user");
            return Err(limited(message, Duration::from_secs(1)));
        }
        let minutes = |from: DateTime<Utc>| (now - from).as_seconds_f64().max(0.0) / 60.0;
        if self.asked.len() >= MAX_IDLE_CALLERS {
            self.asked.retain(|_, bucket| minutes(bucket.at) < 1.0);
        }
        let own = holder.key.map(|(id, limit)| (Asker::Key(id), limit.get().min(self.per_minute)));
        let askers = [own, Some((Asker::User(holder.user), self.per_minute))].into_iter().flatten();
        for (asker, most) in askers.clone() {
            let per_minute = f64::from(most);
            let bucket = self.asked.entry(asker).or_insert(Bucket { left: per_minute, at: now });
            bucket.left = (bucket.left + minutes(bucket.at) * per_minute).min(per_minute);
            bucket.at = now;
            if bucket.left < 1.0 {
                let after = Duration::from_secs_f64((1.0 - bucket.left) / per_minute * 60.0);
                let who = match asker {
                    Asker::Key(_) => "with this API key",
                    Asker::User(_) => "by this user",
                };
                return Err(limited(format!("expected at most {most} model requests a minute {who}"), after));
            }
        }
        for (asker, _) in askers {
            self.asked.entry(asker).and_modify(|bucket| bucket.left -= 1.0);
        }
        *self.under_way.entry(holder.user).or_default() += 1;
        Ok(())
    }

    /// Ends a request that was counted.
    pub(super) fn end(&mut self, holder: Holder) {
        if let Some(under_way) = self.under_way.get_mut(&holder.user) {
            *under_way = under_way.saturating_sub(1);
            if *under_way == 0 {
                self.under_way.remove(&holder.user);
            }
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

    fn user() -> Holder {
        Holder { user: UserId::new(), key: None }
    }

    fn key_of(user: Holder, limit: u32) -> Holder {
        Holder { key: NonZeroU32::new(limit).map(|limit| (ApiKeyId::new(), limit)), ..user }
    }

    #[test]
    fn concurrent_requests_are_limited_over_all_keys_of_a_user() {
        let mut limits = Limits::new(2, 100);
        let (ada, eve) = (user(), user());
        let key = key_of(ada, 0);
        limits.begin(ada, at(0)).unwrap();
        limits.begin(key, at(0)).unwrap();
        for holder in [ada, key, key_of(ada, 50)] {
            assert_eq!(limits.begin(holder, at(0)).unwrap_err().kind(), ErrorKind::RateLimited);
        }
        limits.begin(eve, at(0)).unwrap();
        limits.end(key);
        limits.begin(key_of(ada, 0), at(0)).unwrap();
        limits.begin(ada, at(0)).unwrap_err();
    }

    #[test]
    fn requests_per_minute_are_limited() {
        let mut limits = Limits::new(100, 6);
        let (ada, eve) = (user(), user());
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
    fn lower_limit_of_a_key_applies_besides_that_of_its_user() {
        let mut limits = Limits::new(100, 6);
        let ada = user();
        let (plain, slow, generous) = (key_of(ada, 0), key_of(ada, 2), key_of(ada, 60));
        for holder in [slow, slow, plain] {
            limits.begin(holder, at(0)).unwrap();
        }
        let e = limits.begin(slow, at(0)).unwrap_err();
        assert_eq!(e.retry_after(), Some(Duration::from_secs(30)));
        assert!(e.to_string().contains("2 model requests a minute with this API key"), "{e}");
        for holder in [ada, key_of(ada, 0), generous] {
            limits.begin(holder, at(0)).unwrap();
        }
        for holder in [ada, plain, generous, key_of(ada, 5)] {
            let e = limits.begin(holder, at(0)).unwrap_err();
            assert_eq!(e.retry_after(), Some(Duration::from_secs(10)));
            assert!(e.to_string().contains("6 model requests a minute by this user"), "{e}");
        }
    }

    #[test]
    fn idle_callers_are_evicted() {
        let mut limits = Limits::new(1, 1);
        let busy = user();
        limits.begin(busy, at(0)).unwrap();
        for _ in 1..MAX_IDLE_CALLERS {
            let holder = user();
            limits.begin(holder, at(0)).unwrap();
            limits.end(holder);
        }
        limits.begin(user(), at(61)).unwrap();
        assert_eq!((limits.asked.len(), limits.under_way.len()), (1, 2));
        limits.begin(busy, at(61)).unwrap_err();
    }
}
