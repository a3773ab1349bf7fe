//! TCP proxy between a store and its server that simulates failures of the network.

#![allow(dead_code)] // not every test binary with this module uses all of it

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// State of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// All data is forwarded.
    Whole,
    /// No data is forwarded and no error is reported: data in transit stays there.
    Silent,
    /// Requests of the store are forwarded, responses of the server stay in transit.
    Deaf,
    /// Like `Deaf`, but only from a `COMMIT` on.
    DeafToCommit,
    /// Every existing and every new connection is closed.
    Cut,
}

/// Proxy that runs until this is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    /// Number of times that all connections of that moment were cut.
    cuts: watch::Sender<u32>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy in front of the server at `host:port`.
    pub(crate) async fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (network, seen) = watch::channel(Network::Whole);
        let (cuts, cut) = watch::channel(0);
        let server = server.to_owned();
        let accepting = tokio::spawn(async move {
            while let Ok((store, _)) = listener.accept().await {
                let mut cut = cut.clone();
                cut.mark_unchanged();
                tokio::spawn(connection(store, server.clone(), seen.clone(), cut));
            }
        });
        Self { address, network, cuts, accepting }
    }

    /// Returns the address on which the proxy listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns this address of a database, through the proxy.
    pub(crate) fn through(&self, url: &str) -> String {
        let (before, rest) = url.split_once('@').unwrap();
        let (_, database) = rest.split_once('/').unwrap();
        format!("{before}@{}/{database}", self.address)
    }

    /// Changes the state of the network from now on.
    pub(crate) fn set(&self, network: Network) {
        self.network.send_replace(network);
        if network == Network::Cut {
            self.cuts.send_modify(|cuts| *cuts += 1);
        }
    }

    /// Closes the existing connections; new ones are forwarded.
    pub(crate) fn cut_once(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
        self.network.send_replace(Network::Whole);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.set(Network::Cut);
    }
}

/// Returns the host and port in the address of a database.
pub(crate) fn host_of(url: &str) -> &str {
    url.split_once('@').unwrap().1.split('/').next().unwrap()
}

async fn connection(
    store: TcpStream,
    server: String,
    network: watch::Receiver<Network>,
    mut cut: watch::Receiver<u32>,
) {
    if *network.borrow() == Network::Cut {
        return;
    }
    let passing = async {
        let mut opening = network.clone();
        let open = |network: &Network| !matches!(network, Network::Silent | Network::Cut);
        opening.wait_for(open).await.unwrap();
        let Ok(server) = TcpStream::connect(server).await else { return };
        let ((from_store, to_store), (from_server, to_server)) = (store.into_split(), server.into_split());
        let committing = AtomicBool::new(false);
        // Once one side has closed, the store does not need the rest of the other.
        tokio::select! {
            () = ask(from_store, to_server, network.clone(), &committing) => {}
            () = answer(from_server, to_store, network, &committing) => {}
        }
    };
    tokio::select! {
        biased;
        _ = cut.changed() => {}
        () = passing => {}
    }
}

/// Forwards the requests of the store. Data that was read waits until the network allows it.
async fn ask(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut network: watch::Receiver<Network>,
    committing: &AtomicBool,
) {
    let mut buffer = vec![0; 65_536];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        let Ok(now) = network.wait_for(|network| *network != Network::Silent).await.map(|now| *now) else {
            return;
        };
        if now == Network::DeafToCommit && buffer[..read].windows(6).any(|word| word == b"COMMIT") {
            committing.store(true, Ordering::SeqCst);
        }
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Forwards the responses of the server, on the same conditions.
async fn answer(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut network: watch::Receiver<Network>,
    committing: &AtomicBool,
) {
    let mut buffer = vec![0; 65_536];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        let heard = |network: &Network| match network {
            Network::Whole => true,
            Network::DeafToCommit => !committing.load(Ordering::SeqCst),
            Network::Silent | Network::Deaf | Network::Cut => false,
        };
        if network.wait_for(heard).await.is_err() || read == 0 || to.write_all(&buffer[..read]).await.is_err()
        {
            return;
        }
    }
}
