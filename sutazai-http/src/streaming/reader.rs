//! Reads a stream independently of how fast its client reads.

use futures::StreamExt;
use futures::stream::BoxStream;
use sutazai_core::trace::Here;
use sutazai_core::{Error, Result};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Reads `events` in a task of its own, at most one item ahead of the client.
///
/// A stream of events queries the database. If the connection polled it directly, a slow client would suspend it in
/// the middle of a query, with the database connection held. The task ends with the stream, or when the returned
/// stream is dropped. A stream that panics ends with an error.
pub(crate) fn read_ahead<T: Send + 'static>(
    mut events: BoxStream<'static, Result<T>>,
) -> BoxStream<'static, Result<T>> {
    let (sender, receiver) = mpsc::channel(1);
    let reading = tokio::spawn(Here::current().run(async move {
        loop {
            // Biased: a stream that is always ready must not keep the task alive after its reader is gone.
            let event = tokio::select! {
                biased;
                () = sender.closed() => return,
                event = events.next() => event,
            };
            let Some(event) = event else { return };
            if sender.send(event).await.is_err() {
                return;
            }
        }
    }));
    let end = futures::stream::once(reading).filter_map(async |ended| match ended {
        Ok(()) => None,
        Err(e) => {
            tracing::error!(error = %e, "stream reader panicked");
            Some(Err(Error::internal("reading the stream failed")))
        }
    });
    ReceiverStream::new(receiver).chain(end).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stream_that_panics_ends_with_an_error() {
        let events = futures::stream::iter(0..3).map(|n| match n {
            2 => panic!("a broken stream"),
            n => Ok(n),
        });
        let read: Vec<Result<i32>> = read_ahead(events.boxed()).collect().await;
        assert!(matches!(&read[..], [Ok(0), Ok(1), Err(_)]), "{read:?}");
    }

    #[tokio::test]
    async fn stream_ends_when_its_reader_is_dropped() {
        let (held, mut dropped) = mpsc::channel::<()>(1);
        // The stream owns the sender, so the receiver closes as soon as the stream is dropped.
        let events = futures::stream::pending::<Result<()>>().inspect(move |_| {
            let _ = held.try_send(());
        });
        drop(read_ahead(events.boxed()));
        assert_eq!(dropped.recv().await, None);
    }
}
