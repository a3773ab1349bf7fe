//! [`IdentityStore`] over std collections: one lock, no durability.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::listing::newest_first;
use crate::domain::{
    ChangedUser, Invitation, InvitationId, MAX_INVITATIONS, MAX_SESSIONS, Page, REFRESH_REPEAT_WINDOW,
    Session, SessionId, SpentToken, Successor, User, UserChange, UserCounts, UserId, UserQuery, UserRole,
    quota,
};
use crate::error::{Error, Result};
use crate::ports::IdentityStore;

/// Retention of the session ids of deleted users.
const DELETED_SESSION_TTL: TimeDelta = TimeDelta::days(1);

/// Users and sessions in memory, lost when the process ends. For tests, examples, and embedders that need no
/// durability.
#[derive(Debug, Default)]
pub struct MemoryIdentityStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    users: BTreeMap<UserId, User>,
    /// Usernames and e-mail addresses in lower case; a username contains no `@`, so the two cannot collide.
    logins: HashMap<String, UserId>,
    sessions: BTreeMap<SessionId, Session>,
    /// Hashes of refresh tokens that were replaced by a successor.
    spent: HashMap<(SessionId, String), SpentToken>,
    /// End of the sessions of deleted users.
    deleted: HashMap<SessionId, DateTime<Utc>>,
    invitations: BTreeMap<InvitationId, Invitation>,
}

impl MemoryIdentityStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Adds a user unless one of the names is taken.
    fn add(&mut self, user: &User) -> Result<()> {
        let (username, email) = (user.username.to_lowercase(), user.email.to_lowercase());
        for (field, login) in [("username", &username), ("email", &email)] {
            if self.logins.contains_key(login) {
                return Err(Error::conflict("is already taken").with_field(field));
            }
        }
        self.logins.insert(username, user.id);
        self.logins.insert(email, user.id);
        self.users.insert(user.id, user.clone());
        Ok(())
    }

    fn has_admin(&self) -> bool {
        self.users.values().any(|user| user.role == UserRole::Admin)
    }

    /// Rejects a change that would leave no other admin who can sign in.
    fn check_admin_left(&self, without: UserId) -> Result<()> {
        let admin = |user: &User| user.role == UserRole::Admin && !user.disabled;
        let is_one = self.users.get(&without).is_some_and(admin);
        if is_one && !self.users.values().any(|user| user.id != without && admin(user)) {
            return Err(quota::last_admin());
        }
        Ok(())
    }

    /// Revokes the live sessions of a user except one; returns their ids.
    fn end(&mut self, user: UserId, keep: Option<SessionId>, now: DateTime<Utc>) -> Vec<SessionId> {
        let open = self.sessions.values_mut().filter(|s| s.user == user && s.revoked_at.is_none());
        open.filter(|session| Some(session.id) != keep)
            .map(|session| {
                session.revoked_at = Some(now);
                session.id
            })
            .collect()
    }
}

#[async_trait]
impl IdentityStore for MemoryIdentityStore {
    async fn create_user(&self, user: &User) -> Result<()> {
        self.lock().add(user)
    }

    async fn user(&self, id: UserId) -> Result<Option<User>> {
        Ok(self.lock().users.get(&id).cloned())
    }

    async fn user_by_login(&self, login: &str) -> Result<Option<User>> {
        let state = self.lock();
        Ok(state.logins.get(&login.to_lowercase()).and_then(|id| state.users.get(id)).cloned())
    }

    async fn has_admin(&self) -> Result<bool> {
        Ok(self.lock().has_admin())
    }

    async fn create_first_admin(&self, admin: &User) -> Result<()> {
        let mut state = self.lock();
        if state.has_admin() {
            return Err(quota::has_admin());
        }
        state.add(admin)
    }

    async fn users(&self, query: &UserQuery) -> Result<Page<User, UserId>> {
        let state = self.lock();
        let search = query.search.as_deref().unwrap_or_default().to_lowercase();
        let found = |User { username, email, .. }: &User| {
            [username, email].iter().any(|text| text.to_lowercase().contains(&search))
        };
        let bytes = |user: &User| user.username.len() + user.email.len();
        Ok(newest_first(&state.users, query.page, found, |user| user, bytes))
    }

    async fn usernames(&self, ids: &[UserId]) -> Result<HashMap<UserId, String>> {
        let state = self.lock();
        let named = |id: &UserId| Some((*id, state.users.get(id)?.username.clone()));
        Ok(ids.iter().filter_map(named).collect())
    }

    async fn change_user(&self, id: UserId, change: &UserChange, now: DateTime<Utc>) -> Result<ChangedUser> {
        let mut state = self.lock();
        if change.takes_an_admin() {
            state.check_admin_left(id)?;
        }
        let user = state.users.get_mut(&id).ok_or_else(|| Error::not_found(format!("user {id}")))?;
        match change {
            UserChange::Password { hash, .. } => user.password_hash.clone_from(hash),
            UserChange::Rehash { from, to } if user.password_hash == *from => {
                user.password_hash.clone_from(to);
            }
            UserChange::Rehash { .. } => {}
            UserChange::Disabled(disabled) => user.disabled = *disabled,
            UserChange::Role(role) => user.role = *role,
        }
        let user = user.clone();
        let ended = match change {
            UserChange::Password { keep, .. } => state.end(id, *keep, now),
            UserChange::Disabled(true) | UserChange::Role(_) => state.end(id, None, now),
            UserChange::Disabled(false) | UserChange::Rehash { .. } => Vec::new(),
        };
        Ok(ChangedUser { user, ended })
    }

    async fn count_users(&self, active_since: DateTime<Utc>, now: DateTime<Utc>) -> Result<UserCounts> {
        let state = self.lock();
        let active: HashSet<UserId> = state
            .sessions
            .values()
            .filter(|s| is_good(s, now) && s.refreshed_at >= active_since)
            .map(|session| session.user)
            .collect();
        Ok(UserCounts {
            total: state.users.len() as u64,
            disabled: state.users.values().filter(|user| user.disabled).count() as u64,
            active: active.len() as u64,
        })
    }

    async fn record_login(&self, id: UserId, at: DateTime<Utc>) -> Result<()> {
        if let Some(user) = self.lock().users.get_mut(&id) {
            user.last_login_at = Some(at);
        }
        Ok(())
    }

    async fn delete_user(&self, id: UserId, now: DateTime<Utc>) -> Result<()> {
        let mut state = self.lock();
        state.check_admin_left(id)?;
        state.users.remove(&id).ok_or_else(|| Error::not_found(format!("user {id}")))?;
        state.logins.retain(|_, user| *user != id);
        state.invitations.retain(|_, invitation| invitation.created_by != Some(id));
        let ended: Vec<SessionId> =
            state.sessions.values().filter(|s| s.user == id).map(|session| session.id).collect();
        state.deleted.retain(|_, at| now - *at < DELETED_SESSION_TTL);
        for session in ended {
            state.sessions.remove(&session);
            state.deleted.insert(session, now);
        }
        let State { spent, sessions, .. } = &mut *state;
        spent.retain(|(session, _), _| sessions.contains_key(session));
        Ok(())
    }

    async fn create_invitation(&self, invitation: &Invitation) -> Result<()> {
        let mut state = self.lock();
        state.invitations.retain(|_, kept| kept.expires_at > invitation.created_at);
        if state.invitations.len() >= MAX_INVITATIONS as usize {
            return Err(quota::too_many_invitations());
        }
        state.invitations.insert(invitation.id, invitation.clone());
        Ok(())
    }

    async fn invitations(&self, now: DateTime<Utc>) -> Result<Vec<Invitation>> {
        let state = self.lock();
        let good = state.invitations.values().rev().filter(|invitation| invitation.expires_at > now);
        Ok(good.cloned().collect())
    }

    async fn delete_invitation(&self, id: InvitationId) -> Result<()> {
        let gone = self.lock().invitations.remove(&id);
        gone.map(drop).ok_or_else(|| Error::not_found(format!("invitation {id}")))
    }

    async fn create_invited_user(&self, user: &User, invitation_hash: &str) -> Result<()> {
        let mut state = self.lock();
        let good = |kept: &&Invitation| kept.hash == invitation_hash && kept.expires_at > user.created_at;
        let used = state.invitations.values().find(good).ok_or_else(quota::bad_invitation)?.id;
        state.add(user)?;
        state.invitations.remove(&used);
        Ok(())
    }

    async fn create_session(&self, session: &Session) -> Result<Vec<SessionId>> {
        let mut state = self.lock();
        if state.users.get(&session.user).is_none_or(|user| user.disabled) {
            return Err(Error::conflict("the user is disabled or deleted"));
        }
        state.sessions.retain(|_, old| old.user != session.user || old.expires_at > session.created_at);
        state.sessions.insert(session.id, session.clone());
        let now = session.created_at;
        let open = state.sessions.values_mut().rev().filter(|s| s.user == session.user && is_good(s, now));
        let ended = open.skip(MAX_SESSIONS as usize).map(|session| {
            session.revoked_at = Some(now);
            session.id
        });
        Ok(ended.collect())
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        Ok(self.lock().sessions.get(&id).cloned())
    }

    async fn sessions(&self, user: UserId, now: DateTime<Utc>) -> Result<Vec<Session>> {
        let state = self.lock();
        let good = state.sessions.values().rev().filter(|s| s.user == user && is_good(s, now));
        Ok(good.cloned().collect())
    }

    async fn rotate(
        &self,
        id: SessionId,
        expected_hash: &str,
        new: &Successor,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<()> {
        let mut state = self.lock();
        match state.sessions.get_mut(&id) {
            Some(session) if session.revoked_at.is_none() && session.refresh_hash == expected_hash => {
                session.refresh_hash.clone_from(&new.hash);
                session.refreshed_at = now;
                session.expires_at = expires_at;
                for ((session, _), spent) in &mut state.spent {
                    if *session == id && spent.spent_at < now - REFRESH_REPEAT_WINDOW {
                        spent.salt = None;
                    }
                }
                let spent = SpentToken { spent_at: now, salt: Some(new.salt.clone()) };
                state.spent.insert((id, expected_hash.to_owned()), spent);
                Ok(())
            }
            _ => Err(Error::conflict("the session was refreshed or revoked concurrently")),
        }
    }

    async fn spent_token(&self, id: SessionId, hash: &str) -> Result<Option<SpentToken>> {
        Ok(self.lock().spent.get(&(id, hash.to_owned())).cloned())
    }

    async fn revoke(&self, id: SessionId, now: DateTime<Utc>) -> Result<()> {
        if let Some(session) = self.lock().sessions.get_mut(&id) {
            session.revoked_at.get_or_insert(now);
        }
        Ok(())
    }

    async fn revoke_all(&self, user: UserId, now: DateTime<Utc>) -> Result<Vec<SessionId>> {
        Ok(self.lock().end(user, None, now))
    }

    async fn revoked_since(&self, since: DateTime<Utc>) -> Result<Vec<SessionId>> {
        let state = self.lock();
        let ended = state.sessions.values().filter(|s| s.revoked_at.is_some_and(|at| at >= since));
        let deleted = state.deleted.iter().filter(|(_, at)| **at >= since).map(|(id, _)| *id);
        Ok(ended.map(|session| session.id).chain(deleted).collect())
    }
}

fn is_good(session: &Session, now: DateTime<Utc>) -> bool {
    session.revoked_at.is_none() && session.expires_at > now
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn conforms() {
        crate::testing::identity_store::run_all(|| async { Arc::new(MemoryIdentityStore::new()) }).await;
    }
}
