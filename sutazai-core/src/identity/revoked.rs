//! Revoked sessions known to this process, whose access tokens may not have expired yet.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use chrono::{DateTime, Utc};

use crate::domain::SessionId;

/// Set of revoked sessions. Each is removed once all its access tokens have expired, so the set is bounded by the
/// sessions revoked within one lifetime of an access token.
#[derive(Debug, Default)]
pub(super) struct RevokedSessions {
    until: RwLock<HashMap<SessionId, DateTime<Utc>>>,
}

impl RevokedSessions {
    /// Adds sessions until the given time, and removes those whose time has passed.
    pub(super) fn add(&self, sessions: &[SessionId], now: DateTime<Utc>, until: DateTime<Utc>) {
        let mut map = self.until.write().unwrap_or_else(PoisonError::into_inner);
        map.retain(|_, until| *until > now);
        map.extend(sessions.iter().map(|session| (*session, until)));
    }

    /// Returns whether the session is known to be revoked.
    pub(super) fn contains(&self, session: SessionId) -> bool {
        self.until.read().unwrap_or_else(PoisonError::into_inner).contains_key(&session)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Duration, TimeZone};

    use super::*;

    #[test]
    fn expired_entries_are_evicted() {
        let set = RevokedSessions::default();
        let now = Utc.timestamp_opt(1_767_225_600, 0).unwrap();
        let (old, new) = (SessionId::new(), SessionId::new());
        set.add(&[old], now, now + Duration::minutes(30));
        assert!(set.contains(old) && !set.contains(new));
        let later = now + Duration::minutes(31);
        set.add(&[new], later, later + Duration::minutes(30));
        assert!(set.contains(new) && !set.contains(old));
    }
}
