//! One connection: HTTP/1.1, until either side has had enough.

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

/// The longest head of a request in bytes, its first line included; 431 above that.
const MAX_HEAD: usize = 32 * 1_024;
/// The most headers; 431 above that.
const MAX_HEADERS: usize = 100;
/// So much of an answer is kept for a caller who does not read; the rest waits with its route.
const MAX_BUFFER: usize = 64 * 1_024;
/// What the kernel takes of an answer beyond what is on its way: it says early when a slow peer has read on.
const UNSENT: u32 = 64 * 1_024;
/// A peer that has confirmed nothing for so long is gone, or wants nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// Tells a stream that the server is about to stop. Requests carry it when a server of ours runs them.
#[derive(Debug, Clone)]
pub(crate) struct Closing(pub(crate) CancellationToken);

/// Requests that came over TLS carry it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OverTls;

/// A stream with what is held for as long as it is open, also by a WebSocket that has taken it over.
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

/// Has the kernel send at once (answers are complete: waiting for more would only delay them) and end the connection
/// when its peer has gone or does not read.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE / 4))?;
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_user_timeout(Some(SILENCE))?;
        socket.set_tcp_notsent_lowat(UNSENT)?;
    }
    Ok(())
}

/// Serves one connection until it ends; once the server is closing, until its present request has been answered.
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
        .max_header_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        // Answers are small: one buffer is written faster than two.
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
        tracing::debug!(error = %e, "a connection broke off");
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
