//! Ends connections whose peer reads a response too slowly. Each of them would otherwise hold a buffer, a connection
//! place and the resources of its route for as long as its peer likes.

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

/// Time that writes must have waited for a peer before its rate is checked.
const WINDOW: Duration = Duration::from_secs(30);
/// Minimum number of bytes that a peer must read within the window: 1 KiB per second.
const MIN_BYTES: usize = 30 * 1_024;

/// I/O stream with a minimum rate for its reader. Only the time in which a write waits for the peer counts, so that
/// an idle connection, or a stream with few events, needs no rate.
pub(super) struct Paced<I> {
    io: I,
    clock: Arc<dyn Clock>,
    /// Start of the current wait of a write, and the timer of the end of the window.
    waiting: Option<(DateTime<Utc>, BoxFuture<'static, ()>)>,
    /// Total time for which writes have waited in this window.
    waited: Duration,
    /// Bytes that the peer has read in this window.
    taken: usize,
}

impl<I> Paced<I> {
    pub(super) fn new(io: I, clock: Arc<dyn Clock>) -> Self {
        Self { io, clock, waiting: None, waited: Duration::ZERO, taken: 0 }
    }

    /// Starts the next window, or fails if the peer has read too little in this one.
    fn end_window(&mut self) -> io::Result<()> {
        if self.taken < MIN_BYTES {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer reads the answer too slowly"));
        }
        (self.waited, self.taken) = (Duration::ZERO, 0);
        Ok(())
    }

    /// Records the outcome of a write, and checks the rate when the window is over.
    fn watch(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(outcome) => {
                if let Some((since, _)) = self.waiting.take() {
                    // If the clock was set back, this wait counts as zero.
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
                // Polls again to register a wake-up for the end of the next window.
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

    const RESPONSE_BYTES: usize = 200_000;

    /// Advances the clock by one second and lets the woken tasks run.
    async fn advance_one_second(clock: &ManualClock) {
        clock.advance(Duration::from_secs(1));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    /// Sends a response to a peer that reads `bytes` per second.
    async fn send_to_reader_of(bytes: usize) -> io::Result<()> {
        let clock = Arc::new(ManualClock::new());
        let (ours, mut theirs): (DuplexStream, DuplexStream) = duplex(1_024);
        let mut paced = Paced::new(ours, clock.clone());
        let sending = tokio::spawn(async move { paced.write_all(&[0; RESPONSE_BYTES]).await });
        let mut buffer = vec![0; bytes];
        while !sending.is_finished() {
            advance_one_second(&clock).await;
            if !sending.is_finished() {
                theirs.read_exact(&mut buffer).await.ok();
            }
        }
        sending.await.unwrap()
    }

    #[tokio::test]
    async fn reader_below_the_minimum_rate_is_disconnected() {
        let e = send_to_reader_of(100).await.unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn reader_above_the_minimum_rate_gets_the_response() {
        send_to_reader_of(1_100).await.unwrap();
    }

    #[tokio::test]
    async fn idle_connection_needs_no_minimum_rate() {
        let clock = Arc::new(ManualClock::new());
        let (ours, mut theirs) = duplex(1_024);
        let mut paced = Paced::new(ours, clock.clone());
        for _ in 0..100 {
            paced.write_all(b"a line").await.unwrap();
            theirs.read_exact(&mut [0; 6]).await.unwrap();
            advance_one_second(&clock).await;
        }
    }
}
