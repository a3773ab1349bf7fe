//! A TCP proxy between two parts, which can be pulled: cut (connections end, new ones are refused) or hung (nothing
//! comes through any more, and nobody is told).

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the proxy does with what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Whole,
    Cut,
    Hung,
}

/// A listener of its own in front of an address.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    line: watch::Sender<Line>,
}

impl Proxy {
    /// Listens on a free port.
    pub(crate) async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (line, state) = watch::channel(Line::Whole);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *state.borrow() != Line::Cut {
                    tokio::spawn(join(near, target, state.clone()));
                }
            }
        });
        Self { port, line }
    }

    /// From now on.
    pub(crate) fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn join(near: TcpStream, target: SocketAddr, state: watch::Receiver<Line>) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    for stream in [&near, &far] {
        let _ = stream.set_nodelay(true);
    }
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    // Where one direction ends, both do.
    tokio::select! {
        () = copy(near_in, far_out, state.clone()) => {}
        () = copy(far_in, near_out, state) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<Line>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let line = *state.borrow_and_update();
        match line {
            Line::Cut => return,
            Line::Hung => {
                if state.changed().await.is_err() {
                    return;
                }
            }
            Line::Whole => tokio::select! {
                changed = state.changed() => if changed.is_err() { return },
                read = from.read(&mut buffer) => match read {
                    Ok(count) if count > 0 => {
                        if to.write_all(&buffer[..count]).await.is_err() { return }
                    }
                    _ => return,
                },
            },
        }
    }
}
