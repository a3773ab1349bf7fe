//! Ends connections whose peer reads an answer too slowly: each keeps a buffer, a place among the connections and whatever
//! its route holds for as long as its peer likes.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use sutazai_core::ports::Clock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Time for which a peer has kept writes waiting before its rate is looked at.
const WINDOW: Duration = Duration::from_secs(30);
/// Bytes that a peer takes in that time at the least: 1 KiB a second.
const MIN_BYTES: usize = 30 * 1_024;

/// A connection with a least rate for its reader. Only the time counts in which a write waits for the peer: a stream with
/// little to say, or an idle connection, has no rate to keep.
pub(super) struct Paced<I> {
    io: I,
    clock: Arc<dyn Clock>,
    /// Since when a write waits, and the end of the window.
    waiting: Option<(DateTime<Utc>, BoxFuture<'static, ()>)>,
    /// How long writes have waited in this window.
    waited: Duration,
    /// What the peer took in it.
    taken: usize,
}

impl<I> Paced<I> {
    pub(super) fn new(io: I, clock: Arc<dyn Clock>) -> Self {
        Self { io, clock, waiting: None, waited: Duration::ZERO, taken: 0 }
    }

    /// Begins another window, unless the peer took too little in this one.
    fn end_window(&mut self) -> io::Result<()> {
        if self.taken < MIN_BYTES {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer reads the answer too slowly"));
        }
        (self.waited, self.taken) = (Duration::ZERO, 0);
        Ok(())
    }

    /// Takes note of a write, and of how it went.
    fn watch(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(outcome) => {
                if let Some((since, _)) = self.waiting.take() {
                    // A clock that was set back counts nothing.
                    self.waited += (self.clock.now() - since).to_std().unwrap_or_default();
                }
                self.taken += outcome.as_ref().map_or(0, |taken| *taken);
                if self.waited >= WINDOW {
                    self.end_window()?;
                }
                Poll::Ready(outcome)
            }
            Poll::Pending => {
                let left = WINDOW.saturating_sub(self.waited);
                let (_, window) = self.waiting.get_or_insert_with(|| {
                    let clock = self.clock.clone();
                    (clock.now(), async move { clock.sleep(left).await }.boxed())
                });
                if window.poll_unpin(context).is_pending() {
                    return Poll::Pending;
                }
                self.waiting = None;
                self.end_window()?;
                // Once more, to be woken at the end of the next window.
                self.watch(context, Poll::Pending)
            }
        }
    }
}

impl<I: fmt::Debug> fmt::Debug for Paced<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { io, waited, taken, .. } = self;
        f.debug_struct("Paced").field("io", io).field("waited", waited).field("taken", taken).finish()
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Paced<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Paced<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use sutazai_core::testing::ManualClock;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const ANSWER: usize = 200_000;

    /// Has a second pass, and whatever was to happen then happen.
    async fn a_second_later(clock: &ManualClock) {
        clock.advance(Duration::from_secs(1));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    /// Sends an answer to a peer that reads `bytes` each second.
    async fn sent_to_a_reader_of(bytes: usize) -> io::Result<()> {
        let clock = Arc::new(ManualClock::new());
        let (ours, mut theirs): (DuplexStream, DuplexStream) = duplex(1_024);
        let mut paced = Paced::new(ours, clock.clone());
        let sending = tokio::spawn(async move { paced.write_all(&[0; ANSWER]).await });
        let mut buffer = vec![0; bytes];
        while !sending.is_finished() {
            a_second_later(&clock).await;
            if !sending.is_finished() {
                theirs.read_exact(&mut buffer).await.ok();
            }
        }
        sending.await.unwrap()
    }

    #[tokio::test]
    async fn a_reader_below_the_least_rate_is_dropped() {
        let e = sent_to_a_reader_of(100).await.unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_reader_above_it_may_take_its_time() {
        sent_to_a_reader_of(1_100).await.unwrap();
    }

    #[tokio::test]
    async fn an_idle_connection_has_no_rate() {
        let clock = Arc::new(ManualClock::new());
        let (ours, mut theirs) = duplex(1_024);
        let mut paced = Paced::new(ours, clock.clone());
        for _ in 0..100 {
            paced.write_all(b"a line").await.unwrap();
            theirs.read_exact(&mut [0; 6]).await.unwrap();
            a_second_later(&clock).await;
        }
    }
}
