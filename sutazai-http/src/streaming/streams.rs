//! Bounds the concurrent event streams and WebSockets of one user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sutazai_core::domain::UserId;
use sutazai_core::{Error, ErrorKind};

/// Numbers of open streams by user.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    open: Mutex<HashMap<UserId, usize>>,
}

/// Place of one stream among the streams of its user, released on drop. Without users, streams are not counted.
#[derive(Debug)]
pub(crate) struct StreamPermit(Option<(Arc<Streams>, UserId)>);

impl Streams {
    /// Counts one more stream of this user.
    ///
    /// # Errors
    /// `RateLimited` when `max` streams are open.
    pub(crate) fn enter(self: &Arc<Self>, user: UserId, max: usize) -> Result<StreamPermit, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(user).or_default();
        if *count >= max {
            let message = format!("expected at most {max} open streams and WebSockets of one user");
            return Err(Error::new(ErrorKind::RateLimited, message));
        }
        *count += 1;
        Ok(StreamPermit(Some((self.clone(), user))))
    }
}

impl StreamPermit {
    /// The place of a stream that is not counted.
    pub(crate) const UNCOUNTED: Self = Self(None);
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let Some((streams, user)) = self.0.take() else { return };
        let mut open = streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&user);
            }
        }
    }
}
