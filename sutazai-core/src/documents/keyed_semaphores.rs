//! Limits of concurrent operations per key, independent of other keys.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// Semaphores by key, with the same number of permits each.
#[derive(Debug)]
pub(super) struct KeyedSemaphores<K> {
    each: usize,
    taken: Mutex<HashMap<K, Arc<Semaphore>>>,
}

impl<K: Eq + Hash + Clone + Debug> KeyedSemaphores<K> {
    /// Creates limits of `each` concurrent operations per key.
    pub(super) fn new(each: usize) -> Self {
        Self { each, taken: Mutex::default() }
    }

    /// Waits for a permit of this key, which is released when it is dropped.
    ///
    /// # Errors
    /// `Internal` if a semaphore were closed, which never happens.
    pub(super) async fn take(&self, key: K) -> Result<OwnedSemaphorePermit> {
        let semaphore = {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            // Semaphores that nobody holds or waits for are removed, so the map has no more keys than there are calls.
            taken.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
            taken.entry(key).or_insert_with(|| Arc::new(Semaphore::new(self.each))).clone()
        };
        semaphore
            .acquire_owned()
            .await
            .map_err(|e| Error::internal("the semaphore was closed").with_source(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn one_key_waits_for_itself_alone() {
        let semaphores = KeyedSemaphores::new(2);
        let one = semaphores.take("ada").await.unwrap();
        let other = semaphores.take("ada").await.unwrap();
        assert!(semaphores.take("ada").now_or_never().is_none(), "a third permit at once");
        assert!(semaphores.take("eve").now_or_never().is_some());
        drop(one);
        assert!(semaphores.take("ada").now_or_never().is_some());
        drop(other);
        drop(semaphores.take("eve").await.unwrap());
        drop(semaphores.take("mia").await.unwrap());
        assert_eq!(semaphores.taken.lock().unwrap().len(), 1, "keys are kept that nobody uses");
    }
}
