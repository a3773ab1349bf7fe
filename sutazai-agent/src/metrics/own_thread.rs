//! Blocking reads on a dedicated thread, with a time limit.
//!
//! The runtime's blocking threads are not used: a runtime waits for them when it shuts down, so a read that the kernel
//! never completes would keep the process from ending.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sutazai_core::{Error, Result};
use tokio::sync::oneshot;

/// Time limit for the files of one section. They are served from the kernel's memory, so no disk is involved.
pub(super) const READ_TIMEOUT: Duration = Duration::from_millis(2500);

/// Runs `work` on a dedicated thread. If no thread can be started, it runs on the caller's thread, because a machine at
/// its limit of threads still has to be measured.
///
/// # Errors
/// `Unavailable` naming `what` when the work takes longer than `limit`; it then continues without a receiver. Otherwise
/// the errors of the work.
pub(super) async fn on_own_thread<T: Send + 'static>(
    what: &str,
    limit: Duration,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, answer) = oneshot::channel();
    // The closure is shared, because a thread that cannot be started drops the closure that it was given.
    let work = Arc::new(Mutex::new(Some(work)));
    let waiting = work.clone();
    let take = move |work: &Mutex<Option<_>>| work.lock().unwrap_or_else(PoisonError::into_inner).take();
    let started = std::thread::Builder::new().name(format!("sutazai-{what}")).spawn(move || {
        if let Some(work) = take(&waiting) {
            // The receiver may have given up already.
            let _ = sender.send(work());
        }
    });
    if started.is_err() {
        return match take(&work) {
            Some(work) => work(),
            None => Err(Error::internal(format!("reading the section {what} failed"))),
        };
    }
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) => Err(Error::internal(format!("reading the section {what} failed"))),
        Err(_) => Err(Error::unavailable(format!("reading the section {what} took longer than {limit:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn hanging_read_is_abandoned() {
        let (release, held) = mpsc::channel::<()>();
        let hangs = move || held.recv().map_err(|e| Error::internal(e.to_string()));
        let e = on_own_thread("host", Duration::from_millis(50), hangs).await.unwrap_err();
        assert_eq!(e.message(), "reading the section host took longer than 50ms");
        drop(release);
        assert_eq!(on_own_thread("host", READ_TIMEOUT, || Ok(7)).await.unwrap(), 7);
        let failing = || Err::<(), _>(Error::unavailable("there is none"));
        assert_eq!(
            on_own_thread("host", READ_TIMEOUT, failing).await.unwrap_err().message(),
            "there is none"
        );
    }
}
