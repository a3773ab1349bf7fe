//! A new password in the place of the old one.

use crate::domain::{SessionId, UserChange, UserId};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::{Identity, password};

impl Identity {
    /// Changes a user's password and ends all their sessions but this one; gives how many that were. API keys
    /// stay good.
    ///
    /// # Errors
    /// `InvalidInput` naming `new_password`; `Forbidden` naming `current_password` when that is not the user's; `Busy`.
    pub async fn change_password(
        &self,
        user: UserId,
        session: SessionId,
        current: &str,
        new: &str,
    ) -> Result<usize> {
        let user = self.user(user).await?;
        password::check_length(current).map_err(|e| e.with_field("current_password"))?;
        password::check(new, &user.username, &user.email).map_err(|e| e.with_field("new_password"))?;
        if new == current {
            return Err(Error::invalid("new_password", "expected another password than the current one"));
        }
        if !self.hasher.verify(current, Some(user.password_hash)).await? {
            tracing::info!(user_id = %user.id, "a change of password was refused");
            let why = "this is not the current password";
            return Err(Error::new(ErrorKind::Forbidden, why).with_field("current_password"));
        }
        let change = UserChange::Password { hash: self.hasher.hash(new).await?, keep: session };
        let changed = self.store.change_user(user.id, &change, self.clock.now()).await?;
        self.refuse(&changed.ended).await;
        tracing::info!(user_id = %user.id, ended = changed.ended.len(), "a password was changed");
        Ok(changed.ended.len())
    }
}
