//! Deletion of a user with everything that belongs to them.

use std::sync::Arc;

use crate::domain::{Caller, UserChange, UserId};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::ports::{ConversationStore, DocumentStore, ScheduleStore, TaskRecords};

/// Stores with data of users besides the identity store.
#[derive(Debug, Clone)]
pub struct UserData {
    /// Tasks with their events and messages.
    pub tasks: Arc<dyn TaskRecords>,
    /// Schedules for tasks of users.
    pub schedules: Arc<dyn ScheduleStore>,
    /// Conversations with their messages.
    pub conversations: Arc<dyn ConversationStore>,
    /// Documents with their chunks and search index.
    pub documents: Arc<dyn DocumentStore>,
}

impl Identity {
    /// Deletes a user with their sessions, keys, invitations, schedules, tasks, conversations and documents. The user
    /// is disabled first, so that nothing is added meanwhile; if a store fails they stay disabled, and another call
    /// continues.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for the caller's own user, and for the last admin who can sign in; those of the stores.
    pub async fn delete_user(&self, caller: &Caller, id: UserId) -> Result<()> {
        if caller.owner() == Some(id) {
            let why = "one's own user is deleted with the password, not as an admin";
            return Err(Error::conflict(why));
        }
        self.remove_user(id).await
    }

    /// Deletes the calling user, who must know the password, as [`delete_user`](Self::delete_user) does.
    ///
    /// # Errors
    /// `Forbidden` naming `password` if it is wrong; `RateLimited`, `Busy`; `Conflict` for the last admin who can sign
    /// in; those of the stores.
    pub async fn delete_own_user(&self, id: UserId, password: &str) -> Result<()> {
        let user = self.user(id).await?;
        self.confirm_password(&user, password).await?;
        self.remove_user(id).await
    }

    async fn remove_user(&self, id: UserId) -> Result<()> {
        self.change(id, &UserChange::Disabled(true)).await?;
        self.keys.delete_all(id).await?;
        self.api_key_cache.forget_user(id);
        if let Some(UserData { tasks, schedules, conversations, documents }) = &self.data {
            let schedules = schedules.delete_all(id).await?;
            let tasks = tasks.delete_all(id).await?;
            let conversations = conversations.delete_all(id).await?;
            let documents = documents.delete_all(id).await?;
            tracing::info!(target_user_id = %id, schedules, tasks, conversations, documents, "user data deleted");
        }
        match self.store.delete_user(id, self.clock.now()).await {
            // A concurrent call has deleted the user.
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            deleted => deleted,
        }?;
        tracing::info!(target_user_id = %id, "user deleted");
        Ok(())
    }
}
