//! [`IdentityStore`] over std collections: one lock, no durability.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::{Session, SessionId, User, UserId};
use crate::error::{Error, Result};
use crate::ports::IdentityStore;

/// Users and sessions in memory: gone with the process. For tests, examples, and embedders that need no durability.
#[derive(Debug, Default)]
pub struct MemoryIdentityStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    users: HashMap<UserId, User>,
    /// User names and e-mail addresses in lower case; a user name cannot be an address, so the two do not meet.
    logins: HashMap<String, UserId>,
    sessions: HashMap<SessionId, Session>,
}

impl MemoryIdentityStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl IdentityStore for MemoryIdentityStore {
    async fn create_user(&self, user: &User) -> Result<()> {
        let mut state = self.lock();
        let (username, email) = (user.username.to_lowercase(), user.email.to_lowercase());
        for (field, login) in [("username", &username), ("email", &email)] {
            if state.logins.contains_key(login) {
                return Err(Error::conflict("is already taken").with_field(field));
            }
        }
        state.logins.insert(username, user.id);
        state.logins.insert(email, user.id);
        state.users.insert(user.id, user.clone());
        Ok(())
    }

    async fn user(&self, id: UserId) -> Result<Option<User>> {
        Ok(self.lock().users.get(&id).cloned())
    }

    async fn user_by_login(&self, login: &str) -> Result<Option<User>> {
        let state = self.lock();
        Ok(state.logins.get(&login.to_lowercase()).and_then(|id| state.users.get(id)).cloned())
    }

    async fn record_login(&self, id: UserId, at: DateTime<Utc>) -> Result<()> {
        if let Some(user) = self.lock().users.get_mut(&id) {
            user.last_login_at = Some(at);
        }
        Ok(())
    }

    async fn create_session(&self, session: &Session) -> Result<()> {
        self.lock().sessions.insert(session.id, session.clone());
        Ok(())
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        Ok(self.lock().sessions.get(&id).cloned())
    }

    async fn rotate(
        &self,
        id: SessionId,
        expected_hash: &str,
        new_hash: &str,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<()> {
        match self.lock().sessions.get_mut(&id) {
            Some(session) if session.revoked_at.is_none() && session.refresh_hash == expected_hash => {
                session.refresh_hash = new_hash.to_owned();
                session.refreshed_at = now;
                session.expires_at = expires_at;
                Ok(())
            }
            _ => Err(Error::conflict("the session was refreshed or ended by somebody else")),
        }
    }

    async fn revoke(&self, id: SessionId, now: DateTime<Utc>) -> Result<()> {
        if let Some(session) = self.lock().sessions.get_mut(&id) {
            session.revoked_at.get_or_insert(now);
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn conforms() {
        crate::testing::identity_store::run_all(|| async { Arc::new(MemoryIdentityStore::new()) }).await;
    }
}
