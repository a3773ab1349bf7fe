//! Takes connections until it is asked to stop, and lets those that are open come to their end.

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
use crate::protection::log_throttle::LogThrottle;

/// How long requests that are under way get to end once the server is asked to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// How long to wait when the machine has no room for another connection.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves until `shutdown` ends; then takes no new connection, ends event streams, and gives requests that are under
/// way ten seconds.
///
/// # Errors
/// None with these settings; see [`serve_with`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    serve_with(&ServerConfig::default(), listener, router, shutdown).await
}

/// The same with settings of one's own.
///
/// # Errors
/// `InvalidInput` naming `TLS_CERT` or `TLS_KEY`, at once, when they cannot be used.
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
            tracing::debug!(error = %e, "a connection was gone before it began");
            continue;
        }
        while connections.try_join_next().is_some() {}
        let Some(of_address) = addresses.enter(peer.ip()) else {
            if throttle.is_due(clock.now()) {
                let limit = config.max_connections_per_address;
                tracing::warn!(client = %peer.ip(), limit, "connection refused: the address has too many");
            }
            continue;
        };
        let held = (place, of_address, open.token());
        // A token of its own: its connection looks at it at every step, and would contend for one that all share.
        let (router, closing, clock) = (router.clone(), Closing(closing.child_token()), clock.clone());
        let (tls, patience) = (tls.as_ref().map(Tls::acceptor), config.header_timeout);
        connections.spawn(async move {
            let stream = Held::new(Paced::new(stream, clock), held);
            match tls {
                None => connection::run(stream, peer, false, router, closing, patience).await,
                Some(tls) => match timeout(patience, tls.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        connection::run(stream, peer, true, router, closing, patience).await;
                    }
                    Ok(Err(e)) => tracing::debug!(error = %e, "a TLS handshake failed"),
                    Err(_) => tracing::debug!("a TLS handshake was not done in time"),
                },
            }
        });
    }
    drop(listener);
    closing.cancel();
    open.close();
    if timeout(DRAIN, open.wait()).await.is_err() {
        tracing::warn!("some requests did not end in time; they are cut off");
        connections.abort_all();
    }
    if let Some(renewal) = renewal {
        // It ends with `closing`; only a panic of its own could be lost here, and that is in the log.
        let _ = renewal.await;
    }
    Ok(())
}

type Place = tokio::sync::OwnedSemaphorePermit;

/// The next connection, once there is a place for it; none when there will be no more places, which does not happen
/// while the server runs.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    clock: &dyn Clock,
) -> Option<(TcpStream, std::net::SocketAddr, Place)> {
    let place = places.clone().acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Some((stream, peer, place)),
            // The one that was to be taken has gone; the next may be there.
            Err(e) if is_of_the_peer(&e) => {}
            Err(e) => {
                tracing::error!(error = %e, "no connection can be taken at the moment");
                clock.sleep(PAUSE).await;
            }
        }
    }
}

fn is_of_the_peer(e: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(e.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
