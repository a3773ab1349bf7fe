//! Database calls in tasks of their own.
//!
//! A semaphore assigns its permit, and with it a connection, to the next waiting future whether or not that
//! future is polled again. A caller that waits for something else meanwhile (a slow client, another stream of
//! the same HTTP/2 connection) would keep the connection, and a few such callers would exhaust the pool. The
//! runtime polls a spawned task whatever its caller does, so a connection is returned as soon as its
//! statement is done.

use sutazai_core::trace::Here;
use sutazai_core::{Error, Result};
use tokio_util::sync::CancellationToken;

/// Runs `call` in a task of its own and returns its result.
///
/// The token is cancelled when the caller is dropped: a call that still waits for a connection should end
/// then. A call that has begun runs to its end, so that its connection is left in a known state.
///
/// # Errors
/// Those of `call`; `Internal` when it panics, `Unavailable` when the runtime shuts down.
pub(crate) async fn detached<T, F>(call: impl FnOnce(CancellationToken) -> F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let abandoned = CancellationToken::new();
    let guard = abandoned.clone().drop_guard();
    let answer = tokio::spawn(Here::current().run(call(abandoned))).await;
    drop(guard);
    answer.unwrap_or_else(|e| {
        if e.is_panic() {
            tracing::error!(error = %e, "call to the database panicked");
            return Err(Error::internal("the call to the database panicked"));
        }
        Err(Error::unavailable("the runtime that the store was used in has ended"))
    })
}

/// Waits for a connection until the caller is dropped.
///
/// # Errors
/// Those of `connection`, and `Cancelled` for a caller that was dropped.
pub(crate) async fn unless_abandoned<C>(
    abandoned: &CancellationToken,
    connection: impl Future<Output = Result<C>>,
) -> Result<C> {
    let dropped = || Err(Error::cancelled("the caller of the database was dropped"));
    abandoned.run_until_cancelled(connection).await.unwrap_or_else(dropped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use sutazai_core::ErrorKind;
    use tokio::sync::{Semaphore, oneshot};

    #[tokio::test]
    async fn panic_is_an_error_of_the_call() {
        let error = detached(|_| async { if true { panic!("as asked") } else { Ok(()) } }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
    }

    #[tokio::test]
    async fn caller_that_is_not_polled_returns_its_connection() {
        let pool = Arc::new(Semaphore::new(1));
        let of_call = pool.clone();
        let mut unpolled = Box::pin(detached(move |abandoned| async move {
            let closed = |e| Error::internal("closed").with_source(e);
            let connection = async { of_call.acquire().await.map_err(closed) };
            let _connection = unless_abandoned(&abandoned, connection).await?;
            Ok(())
        }));
        let held = pool.acquire().await.unwrap();
        assert!(futures::poll!(&mut unpolled).is_pending());
        tokio::task::yield_now().await;
        // Goes to the call, which is first in the queue of the semaphore.
        drop(held);
        drop(pool.acquire().await.unwrap());
        unpolled.await.unwrap();
    }

    #[tokio::test]
    async fn dropped_caller_stops_waiting_but_a_started_call_completes() {
        let (ended, at_end) = oneshot::channel::<Result<()>>();
        let waiting = detached(|abandoned| async move {
            let _ = ended.send(unless_abandoned(&abandoned, std::future::pending()).await);
            Ok(())
        });
        assert!(futures::FutureExt::now_or_never(waiting).is_none());
        assert_eq!(at_end.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);

        let (ended, at_end) = oneshot::channel();
        let begun = detached(|_| async move {
            tokio::task::yield_now().await;
            let _ = ended.send("committed");
            Ok(())
        });
        assert!(futures::FutureExt::now_or_never(begun).is_none());
        assert_eq!(at_end.await, Ok("committed"));
    }
}
