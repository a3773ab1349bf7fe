//! A user is deleted with everything that is theirs.

use std::sync::Arc;

use crate::domain::{Caller, UserChange, UserId};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::ports::{ConversationStore, DocumentStore, ScheduleStore, TaskStore};

/// The stores that keep what belongs to users, beside those of identity.
#[derive(Debug, Clone)]
pub struct UserData {
    /// Tasks with their events and messages.
    pub tasks: Arc<dyn TaskStore>,
    /// Schedules.
    pub schedules: Arc<dyn ScheduleStore>,
    /// Conversations with their messages.
    pub conversations: Arc<dyn ConversationStore>,
    /// Documents with their chunks and what the search knows of them.
    pub documents: Arc<dyn DocumentStore>,
}

impl Identity {
    /// Deletes a user with their sessions, keys, invitations, schedules, tasks, conversations and documents. They are
    /// disabled first, so that nothing is added meanwhile; where a store fails they stay so, and another call goes on.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for one's own user, and for the last admin who can sign in; those of the stores.
    pub async fn delete_user(&self, caller: &Caller, id: UserId) -> Result<()> {
        if caller.owner() == Some(id) {
            let why = "one's own user is deleted with the password, not as an admin";
            return Err(Error::conflict(why));
        }
        self.remove_user(id).await
    }

    /// Deletes the user who asks for it and knows the password, as [`delete_user`](Self::delete_user) does.
    ///
    /// # Errors
    /// `Forbidden` naming `password` when that is not the user's; `RateLimited`, `Busy`; `Conflict` for the last admin who
    /// can sign in; those of the stores.
    pub async fn delete_own_user(&self, id: UserId, password: &str) -> Result<()> {
        let user = self.user(id).await?;
        self.confirm_password(&user, password).await?;
        self.remove_user(id).await
    }

    async fn remove_user(&self, id: UserId) -> Result<()> {
        self.change(id, &UserChange::Disabled(true)).await?;
        self.keys.delete_all(id).await?;
        self.known_keys.forget_user(id);
        if let Some(UserData { tasks, schedules, conversations, documents }) = &self.data {
            let schedules = schedules.delete_all(id).await?;
            let tasks = tasks.delete_all(id).await?;
            let conversations = conversations.delete_all(id).await?;
            let documents = documents.delete_all(id).await?;
            tracing::info!(target_user_id = %id, schedules, tasks, conversations, documents, "user data deleted");
        }
        match self.store.delete_user(id, self.clock.now()).await {
            // Another call was faster.
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            deleted => deleted,
        }?;
        tracing::info!(target_user_id = %id, "user deleted");
        Ok(())
    }
}
