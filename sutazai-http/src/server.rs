//! Runs a router on a listener until it is asked to stop.

use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::time::Duration;

use axum::serve::ListenerExt;
use axum::{Extension, Router};
use sutazai_core::{Error, Result};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long requests that are under way get to end once the server is asked to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Tells a stream that the server is about to stop. Requests carry it when [`serve`] runs them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Closing {
    /// Fires when the server is asked to stop.
    pub(crate) asked: CancellationToken,
    /// WebSockets, which are not requests any more; the server waits for them too.
    pub(crate) sockets: TaskTracker,
}

/// Serves until `shutdown` ends; then takes no new connection, ends event streams and WebSockets, and gives requests that are under
/// way ten seconds.
///
/// # Errors
/// `Internal` when the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let closing = Closing::default();
    let app = router.layer(Extension(closing.clone()));
    let asked = closing.asked.clone();
    // Answers are small and complete: waiting for more to send would only delay them.
    let listener = listener.tap_io(|stream| {
        if let Err(e) = stream.set_nodelay(true) {
            tracing::debug!(error = %e, "a connection could not be set to send at once");
        }
    });
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        shutdown.await;
        asked.cancel();
    });
    let mut server = pin!(async {
        let ended = server.into_future().await;
        closing.asked.cancel();
        closing.sockets.close();
        closing.sockets.wait().await;
        ended
    });
    let ended = tokio::select! {
        ended = &mut server => Some(ended),
        () = closing.asked.cancelled() => tokio::time::timeout(DRAIN, server).await.ok(),
    };
    match ended {
        Some(ended) => ended.map_err(|e| Error::internal("the HTTP server failed").with_source(e)),
        None => {
            tracing::warn!("some requests did not end in time; they are cut off");
            Ok(())
        }
    }
}
