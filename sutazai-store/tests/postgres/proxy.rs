//! A TCP proxy that stands for the network between a store and its server, and can be told to fail.

#![allow(dead_code)] // not every binary that has this file needs all of it

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// Everything goes through.
    Whole,
    /// Nothing goes through, and nobody is told: what is on its way stays there.
    Silent,
    /// What the store asks arrives, what the server answers stays on its way.
    Deaf,
    /// The same, but only from a `COMMIT` on.
    DeafToCommit,
    /// Every connection is cut, and so is every new one.
    Cut,
}

/// The proxy. It ends when this is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    /// How often the connections of that time were cut.
    cuts: watch::Sender<u32>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Stands before the server at `host:port`.
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

    /// Where the proxy listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// This address of a database, through the proxy.
    pub(crate) fn through(&self, url: &str) -> String {
        let (before, rest) = url.split_once('@').unwrap();
        let (_, database) = rest.split_once('/').unwrap();
        format!("{before}@{}/{database}", self.address)
    }

    /// From now on the network does so.
    pub(crate) fn set(&self, network: Network) {
        self.network.send_replace(network);
        if network == Network::Cut {
            self.cuts.send_modify(|cuts| *cuts += 1);
        }
    }

    /// Cuts the connections that there are; new ones go through.
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

/// The host and the port of a database's address.
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
        // Where one side ends, what the other still says does not matter to a store.
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

/// What the store asks. What has been read waits until it may go on.
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

/// What the server answers, likewise.
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
