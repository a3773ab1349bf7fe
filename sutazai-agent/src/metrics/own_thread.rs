//! Blocking reads on a dedicated thread, with a time limit.
//!
//! The runtime's blocking threads are not used: a runtime waits for them when it shuts down, so a read that the kernel
//! never completes would keep the process from ending.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sutazai_core::{Error, Result};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Time by which work must end, with the limit that its error names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    /// Creates a deadline for work that begins now and may take this long.
    pub(super) fn after(limit: Duration) -> Self {
        Self { at: Instant::now() + limit, limit }
    }

    /// Waits for the result of some work, until the deadline.
    ///
    /// # Errors
    /// `Unavailable` naming the section once the deadline has passed.
    pub(super) async fn wait<T>(self, section: &str, work: impl Future<Output = T>) -> Result<T> {
        let late = |_| {
            Error::unavailable(format!("reading the section {section} took longer than {:?}", self.limit))
        };
        tokio::time::timeout_at(self.at, work).await.map_err(late)
    }
}

/// Runs `work` on a dedicated thread. If no thread can be started, it runs on the caller's thread, because a machine at
/// its limit of threads still has to be measured.
///
/// # Errors
/// `Unavailable` naming the section when the work does not end by the deadline; it then continues without a receiver.
/// Otherwise the errors of the work.
pub(super) async fn on_own_thread<T: Send + 'static>(
    section: &str,
    deadline: Deadline,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, answer) = oneshot::channel();
    // The closure is shared, because a thread that cannot be started drops the closure that it was given.
    let work = Arc::new(Mutex::new(Some(work)));
    let waiting = work.clone();
    let take = move |work: &Mutex<Option<_>>| work.lock().unwrap_or_else(PoisonError::into_inner).take();
    let started = std::thread::Builder::new().name(format!("sutazai-{section}")).spawn(move || {
        if let Some(work) = take(&waiting) {
            // The receiver may have given up already.
            let _ = sender.send(work());
        }
    });
    if started.is_err() {
        return match take(&work) {
            Some(work) => work(),
            None => Err(Error::internal(format!("reading the section {section} failed"))),
        };
    }
    let failed = |_| Error::internal(format!("reading the section {section} failed"));
    deadline.wait(section, answer).await?.map_err(failed)?
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn hanging_read_is_abandoned() {
        let (release, held) = mpsc::channel::<()>();
        let hangs = move || held.recv().map_err(|e| Error::internal(e.to_string()));
        let e = on_own_thread("host", Deadline::after(Duration::from_millis(50)), hangs).await.unwrap_err();
        assert_eq!(e.message(), "reading the section host took longer than 50ms");
        drop(release);
        let deadline = Deadline::after(Duration::from_secs(60));
        assert_eq!(on_own_thread("host", deadline, || Ok(7)).await.unwrap(), 7);
        let failing = || Err::<(), _>(Error::unavailable("there is none"));
        let e = on_own_thread("host", deadline, failing).await.unwrap_err();
        assert_eq!(e.message(), "there is none");
    }
}
