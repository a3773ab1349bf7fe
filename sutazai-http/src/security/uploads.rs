//! Bounds the number of concurrent uploads, so that waiting files remain with their senders instead of in the memory
//! of this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sutazai_core::domain::UserId;
use sutazai_core::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Maximum number of uploads that are read concurrently.
const MAX_UPLOADS: usize = 4;
/// Maximum number of concurrent uploads of one user, so that one user cannot occupy all of [`MAX_UPLOADS`].
const MAX_UPLOADS_PER_USER: usize = 1;

/// Semaphores of the uploads that are read or wait.
#[derive(Debug)]
pub(crate) struct Uploads {
    all: Arc<Semaphore>,
    of_users: Mutex<HashMap<Option<UserId>, Weak<Semaphore>>>,
}

/// Permit to read one upload; dropping it admits the next one.
#[derive(Debug)]
pub(crate) struct UploadPermit {
    _of_user: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(MAX_UPLOADS)), of_users: Mutex::default() }
    }
}

impl Uploads {
    /// Waits until an upload of this user may be read. The user's own permit is acquired first, so that a user with
    /// many uploads queues behind themselves and holds none of the shared permits meanwhile.
    ///
    /// # Errors
    /// None: the semaphores are never closed.
    pub(crate) async fn acquire(&self, user: Option<UserId>) -> Result<UploadPermit> {
        let closed = |e| Error::internal("the uploads semaphore was closed").with_source(e);
        let of_user = self.of_user(user).acquire_owned().await.map_err(closed)?;
        let of_all = self.all.clone().acquire_owned().await.map_err(closed)?;
        Ok(UploadPermit { _of_user: of_user, _of_all: of_all })
    }

    fn of_user(&self, user: Option<UserId>) -> Arc<Semaphore> {
        let mut of_users = self.of_users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = of_users.get(&user).and_then(Weak::upgrade) {
            return known;
        }
        of_users.retain(|_, semaphore| semaphore.strong_count() > 0);
        let new = Arc::new(Semaphore::new(MAX_UPLOADS_PER_USER));
        of_users.insert(user, Arc::downgrade(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn users_wait_for_themselves_and_for_all_and_are_forgotten() {
        let uploads = Uploads::default();
        let [ada, eve] = [Some(UserId::new()), Some(UserId::new())];
        let first = uploads.acquire(ada).await.unwrap();
        assert!(uploads.acquire(ada).now_or_never().is_none(), "one of a user at once");
        let mut others = vec![uploads.acquire(eve).await.unwrap()];
        for _ in 2..MAX_UPLOADS {
            others.push(uploads.acquire(Some(UserId::new())).await.unwrap());
        }
        assert!(uploads.acquire(Some(UserId::new())).now_or_never().is_none(), "all places are taken");
        drop(first);
        others.push(uploads.acquire(ada).now_or_never().unwrap().unwrap());
        others.clear();
        let _last = uploads.acquire(None).await.unwrap();
        assert_eq!(uploads.of_users.lock().unwrap().len(), 1);
    }
}
