//! Change of a user's own password.

use crate::domain::{SessionId, User, UserChange, UserId};
use crate::error::{Error, Result};
use crate::identity::hash_queue::Source;
use crate::identity::spellings::composed;
use crate::identity::{Identity, password};

/// Sessions and API keys that were revoked with a password change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedPassword {
    /// Number of revoked sessions.
    pub ended_sessions: usize,
    /// Number of removed API keys.
    pub revoked_keys: u64,
}

impl Identity {
    /// Changes a user's password and revokes all their sessions except this one, and their API keys if requested.
    ///
    /// # Errors
    /// `InvalidInput` naming `new_password`; `Forbidden` naming `current_password` if it is wrong; `RateLimited`,
    /// `Busy`.
    pub async fn change_password(
        &self,
        user: UserId,
        session: SessionId,
        (current, new): (&str, &str),
        revoke_keys: bool,
    ) -> Result<ChangedPassword> {
        let user = self.user(user).await?;
        password::check_length(current).map_err(|e| e.with_field("current_password"))?;
        password::check(new, &user.username, &user.email).map_err(|e| e.with_field("new_password"))?;
        if composed(new) == composed(current) {
            return Err(Error::invalid("new_password", "expected another password than the current one"));
        }
        self.confirm_password(&user, current).await.map_err(|e| match e.field() {
            Some("password") => e.with_field("current_password"),
            _ => e,
        })?;
        let hash = self.hash_new(new, (&user.username, &user.email), Source::User(user.id)).await;
        let hash = hash.map_err(|e| match e.field() {
            Some("password") => e.with_field("new_password"),
            _ => e,
        })?;
        self.replace_password(&user, UserChange::Password { hash, keep: Some(session) }, revoke_keys).await
    }

    /// Stores a new password, announces the revoked sessions, and removes the API keys if requested.
    pub(super) async fn replace_password(
        &self,
        user: &User,
        change: UserChange,
        revoke_keys: bool,
    ) -> Result<ChangedPassword> {
        let changed = self.store.change_user(user.id, &change, self.clock.now()).await?;
        self.refuse(&changed.ended).await;
        let revoked_keys = if revoke_keys { self.keys.delete_all(user.id).await? } else { 0 };
        self.api_key_cache.forget_user(user.id);
        tracing::info!(target_user_id = %user.id, ended = changed.ended.len(), revoked_keys, "password changed");
        Ok(ChangedPassword { ended_sessions: changed.ended.len(), revoked_keys })
    }
}
