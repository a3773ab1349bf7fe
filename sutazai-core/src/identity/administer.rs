//! What admins do with users. Whether the caller is one is not asked here but where requests come in.

use crate::bounds::page;
use crate::domain::{
    Caller, NewUser, User, UserChange, UserCounts, UserId, UserPage, UserQuery, UserRole, earlier,
};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;

impl Identity {
    /// A page of users, newest first.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit` when it is not 1 to 100.
    pub async fn users(&self, query: &UserQuery) -> Result<UserPage> {
        page(query.limit)?;
        self.store.users(query).await
    }

    /// How many users there are; active are those who have a session and used it within the life of an access token.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count_users(&self) -> Result<UserCounts> {
        let now = self.clock.now();
        self.store.count_users(earlier(now, self.config.access_ttl), now).await
    }

    /// Disables or enables a user. Disabling ends all their sessions; their API keys are refused until they are
    /// enabled again.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for one's own user: so that there is always an admin left who can undo it.
    pub async fn set_disabled(&self, caller: &Caller, id: UserId, disabled: bool) -> Result<User> {
        not_oneself(caller, id)?;
        self.change(id, &UserChange::Disabled(disabled)).await
    }

    /// Gives a user another role. All their sessions end, since their access tokens name the role of before.
    ///
    /// # Errors
    /// As [`set_disabled`](Self::set_disabled).
    pub async fn set_role(&self, caller: &Caller, id: UserId, role: UserRole) -> Result<User> {
        not_oneself(caller, id)?;
        let user = self.user(id).await?;
        if user.role == role {
            return Ok(user);
        }
        self.change(id, &UserChange::Role(role)).await
    }

    /// Adds an admin, unless there is somebody of that name: then nothing is changed, the password neither.
    ///
    /// # Errors
    /// Those of [`register`](Self::register), but for a `Conflict` of the username.
    pub async fn ensure_admin(&self, new: NewUser) -> Result<()> {
        let name = new.username.clone();
        if self.store.user_by_login(&name).await?.is_none() {
            match self.create_user(new, UserRole::Admin).await {
                // Another process that starts at the same time was faster.
                Err(e) if e.kind() == ErrorKind::Conflict && e.field() == Some("username") => {}
                created => return created.map(drop),
            }
        }
        match self.store.user_by_login(&name).await? {
            Some(user) if user.role == UserRole::Admin => {}
            _ => tracing::warn!(
                username = name,
                "this user is there already and is no admin; nothing was changed"
            ),
        }
        Ok(())
    }

    pub(super) async fn change(&self, id: UserId, change: &UserChange) -> Result<User> {
        let changed = self.store.change_user(id, change, self.clock.now()).await?;
        self.refuse(&changed.ended).await;
        self.known_keys.forget_user(id);
        // Whose change it is says the span of the request: `user_id`.
        tracing::info!(target_user_id = %id, ?change, ended = changed.ended.len(), "a user was changed");
        Ok(changed.user)
    }
}

fn not_oneself(caller: &Caller, id: UserId) -> Result<()> {
    if caller.owner() == Some(id) {
        return Err(Error::conflict("nobody may do this to their own user; ask another admin"));
    }
    Ok(())
}
