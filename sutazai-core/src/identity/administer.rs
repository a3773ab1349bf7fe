//! Administration of users. Whether the caller is an admin is checked where requests come in, not here.

use std::collections::HashMap;

use crate::domain::{
    Caller, NewUser, Page, User, UserChange, UserCounts, UserId, UserQuery, UserRole, earlier,
};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::hash_queue::Source;
use crate::identity::{ChangedPassword, Identity, password};

impl Identity {
    /// Returns one page of users, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn users(&self, query: &UserQuery) -> Result<Page<User, UserId>> {
        self.store.users(query).await
    }

    /// Counts users; active ones have a session used within the lifetime of an access token.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count_users(&self) -> Result<UserCounts> {
        let now = self.clock.now();
        self.store.count_users(earlier(now, self.config.access_ttl), now).await
    }

    /// Disables or enables a user. Disabling revokes all their sessions; their API keys are rejected until the user is
    /// enabled again.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for the caller's own user, so that there is always an admin left who can undo it.
    pub async fn set_disabled(&self, caller: &Caller, id: UserId, disabled: bool) -> Result<User> {
        not_oneself(caller, id)?;
        self.change(id, &UserChange::Disabled(disabled)).await
    }

    /// Changes the role of a user. All their sessions are revoked, because their access tokens contain the previous
    /// role.
    ///
    /// # Errors
    /// Those of [`set_disabled`](Self::set_disabled).
    pub async fn set_role(&self, caller: &Caller, id: UserId, role: UserRole) -> Result<User> {
        not_oneself(caller, id)?;
        let user = self.user(id).await?;
        if user.role == role {
            return Ok(user);
        }
        self.change(id, &UserChange::Role(role)).await
    }

    /// Sets a new password of another user. All their sessions are revoked and all their API keys are removed: whoever
    /// knew the old password may have made them.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for the caller's own user; `InvalidInput` naming `password`; `Busy`.
    pub async fn set_password(&self, caller: &Caller, id: UserId, password: &str) -> Result<ChangedPassword> {
        not_oneself(caller, id)?;
        let user = self.user(id).await?;
        password::check(password, &user.username, &user.email)?;
        let source = caller.owner().map_or(Source::Address(None), Source::User);
        let hash = self.hash_new(password, (&user.username, &user.email), source).await?;
        self.replace_password(&user, UserChange::Password { hash, keep: None }, true).await
    }

    /// Returns the usernames of these users; unknown ones are left out.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn usernames(&self, ids: &[UserId]) -> Result<HashMap<UserId, String>> {
        self.store.usernames(ids).await
    }

    /// Creates an admin unless the username is taken; an existing user is not changed, nor is their password.
    ///
    /// # Errors
    /// Those of [`register`](Self::register), except a `Conflict` of the username.
    pub async fn ensure_admin(&self, new: NewUser) -> Result<()> {
        let name = new.username.clone();
        if self.store.user_by_login(&name).await?.is_none() {
            match self.create_user(new, UserRole::Admin).await {
                // Another process that started at the same time has created the user.
                Err(e) if e.kind() == ErrorKind::Conflict && e.field() == Some("username") => {}
                created => return created.map(drop),
            }
        }
        match self.store.user_by_login(&name).await? {
            Some(user) if user.role == UserRole::Admin => {}
            _ => tracing::warn!(username = name, "user exists and is no admin; user not changed"),
        }
        Ok(())
    }

    pub(super) async fn change(&self, id: UserId, change: &UserChange) -> Result<User> {
        let changed = self.store.change_user(id, change, self.clock.now()).await?;
        self.refuse(&changed.ended).await;
        self.api_key_cache.forget_user(id);
        // The acting admin is in the `user_id` of the request's span.
        tracing::info!(target_user_id = %id, ?change, ended = changed.ended.len(), "user changed");
        Ok(changed.user)
    }
}

fn not_oneself(caller: &Caller, id: UserId) -> Result<()> {
    if caller.owner() == Some(id) {
        return Err(Error::conflict("admins cannot do this to their own user; ask another admin"));
    }
    Ok(())
}
