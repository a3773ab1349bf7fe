//! Accepts connections until the server is asked to stop, then drains the open ones.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use sutazai_core::Result;
use sutazai_core::ports::{Clock, SystemClock};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ServerConfig;
use super::addresses::Addresses;
use super::connection::{self, Closing, Held};
use super::slow_reader::Paced;
use super::tls::Tls;
use crate::security::log_throttle::LogThrottle;

/// Maximum time for which open requests may continue after the server was asked to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failed accept, such as for lack of file descriptors, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves `router` until `shutdown` completes. Then it accepts no new connections, ends event streams, and gives open
/// requests 10 s to complete.
///
/// # Errors
/// Never fails with the default settings; see [`serve_with`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    serve_with(&ServerConfig::default(), listener, router, shutdown).await
}

/// Serves `router` like [`serve`], with explicit settings.
///
/// # Errors
/// `InvalidInput` naming `TLS_CERT` or `TLS_KEY`, before any connection is accepted, when they cannot be used.
pub async fn serve_with(
    config: &ServerConfig,
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let tls = config.tls.as_ref().map(|files| Tls::open(files, clock.clone())).transpose()?;
    let closing = CancellationToken::new();
    let mut connections = JoinSet::new();
    let (open, places) = (TaskTracker::new(), Arc::new(Semaphore::new(config.max_connections)));
    let addresses = Addresses::new(config.max_connections_per_address, config.trusted_proxies.clone());
    let (addresses, throttle) = (Arc::new(addresses), LogThrottle::default());
    let renewal =
        tls.as_ref().map(|tls| tokio::spawn(closing.clone().run_until_cancelled_owned(tls.renew())));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &places, &*clock) => accepted,
        };
        let Some((stream, peer, place)) = accepted else { break };
        if let Err(e) = connection::prepare(&stream) {
            tracing::debug!(error = %e, "connection closed before it was served");
            continue;
        }
        while connections.try_join_next().is_some() {}
        let Some(of_address) = addresses.enter(peer.ip()) else {
            if throttle.is_due(clock.now()) {
                let limit = config.max_connections_per_address;
                tracing::warn!(client = %peer.ip(), limit, "connection rejected: address limit reached");
            }
            continue;
        };
        let held = (place, of_address, open.token());
        // A child token per connection: its future polls the token at every step, and all of them would contend for
        // the lock of a shared one.
        let (router, closing, clock) = (router.clone(), Closing(closing.child_token()), clock.clone());
        let (tls, header_timeout) = (tls.as_ref().map(Tls::acceptor), config.header_timeout);
        connections.spawn(async move {
            let stream = Held::new(Paced::new(stream, clock), held);
            match tls {
                None => connection::run(stream, peer, false, router, closing, header_timeout).await,
                Some(tls) => match timeout(header_timeout, tls.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        connection::run(stream, peer, true, router, closing, header_timeout).await;
                    }
                    Ok(Err(e)) => tracing::debug!(error = %e, "TLS handshake failed"),
                    Err(_) => tracing::debug!("TLS handshake timed out"),
                },
            }
        });
    }
    drop(listener);
    closing.cancel();
    open.close();
    if timeout(DRAIN_TIMEOUT, open.wait()).await.is_err() {
        tracing::warn!("requests aborted: drain timeout exceeded");
        connections.abort_all();
    }
    if let Some(renewal) = renewal {
        // It ends with `closing`. An error could only be a panic of its own, which is in the log already.
        let _ = renewal.await;
    }
    Ok(())
}

type Place = tokio::sync::OwnedSemaphorePermit;

/// Accepts the next connection as soon as there is a place for it. `None` when the semaphore is closed, which does
/// not happen while the server runs. The place is acquired first, so that waiting connections stay in the kernel's
/// backlog and cost nothing here.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    clock: &dyn Clock,
) -> Option<(TcpStream, std::net::SocketAddr, Place)> {
    let place = places.clone().acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Some((stream, peer, place)),
            // The peer has closed the connection before it was accepted; the next one may be fine.
            Err(e) if is_of_the_peer(&e) => {}
            Err(e) => {
                tracing::error!(error = %e, "connection accept failed");
                clock.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_the_peer(e: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(e.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
