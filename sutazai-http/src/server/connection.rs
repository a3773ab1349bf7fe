//! Serves one connection with HTTP/1.1 until either side closes it.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Maximum size of the head of a request in bytes, including its first line; 431 above it.
const MAX_HEAD_BYTES: usize = 32 * 1_024;
/// Maximum number of request headers; 431 above it.
const MAX_HEADERS: usize = 100;
/// Maximum size of the buffer for a response whose client does not read, in bytes; beyond it, the route waits.
const MAX_BUFFER_BYTES: usize = 64 * 1_024;
/// Maximum number of unsent bytes in the kernel's buffer (`TCP_NOTSENT_LOWAT`). Small, so that the server notices
/// early whether a slow peer keeps reading.
#[cfg(target_os = "linux")]
const MAX_UNSENT_BYTES: u32 = 64 * 1_024;
/// Time after which a peer that acknowledges nothing is considered gone.
const PEER_TIMEOUT: Duration = Duration::from_secs(60);

/// Shutdown signal for streams, in the extensions of each request that `serve` handles.
#[derive(Debug, Clone)]
pub(crate) struct Closing(pub(crate) CancellationToken);

/// Marks requests that arrived over TLS, in their extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OverTls;

/// I/O stream that owns resources for as long as it is open, also after a WebSocket has taken it over.
#[derive(Debug)]
pub(super) struct Held<I, H> {
    io: I,
    _held: H,
}

impl<I, H> Held<I, H> {
    pub(super) fn new(io: I, held: H) -> Self {
        Self { io, _held: held }
    }
}

/// Sets socket options: no Nagle delay, because responses are written whole, and timeouts that end the connection
/// when its peer is gone or does not read.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(PEER_TIMEOUT).with_interval(PEER_TIMEOUT / 4))?;
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_user_timeout(Some(PEER_TIMEOUT))?;
        socket.set_tcp_notsent_lowat(MAX_UNSENT_BYTES)?;
    }
    Ok(())
}

/// Serves one connection until it ends. After `closing`, completes the current request only.
pub(super) async fn run<I>(
    io: I,
    peer: SocketAddr,
    over_tls: bool,
    router: Router,
    closing: Closing,
    header_timeout: Duration,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let closed = closing.0.clone();
    let service = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let extensions = request.extensions_mut();
        extensions.insert(ConnectInfo(peer));
        extensions.insert(closing.clone());
        if over_tls {
            extensions.insert(OverTls);
        }
        hyper::service::Service::call(&service, request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_header_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER_BYTES)
        // Responses are small: copying head and body into one buffer is faster than writing two.
        .writev(false)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closed.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(e) = ended {
        tracing::debug!(error = %e, "connection failed");
    }
}

impl<I: AsyncRead + Unpin, H: Unpin> AsyncRead for Held<I, H> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<I: AsyncWrite + Unpin, H: Unpin> AsyncWrite for Held<I, H> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
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
