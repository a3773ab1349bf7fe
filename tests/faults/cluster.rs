//! All processes of a run.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::postgres::Postgres;
use crate::process::Node;
use crate::proxy::{Network, Proxy, host_of};

const SERVERS: usize = 2;
const WORKERS: usize = 3;

pub(crate) struct Cluster {
    // Before the database, so that they end before it.
    pub(crate) nodes: Vec<Mutex<Node>>,
    addresses: Vec<SocketAddr>,
    pub(crate) lease: Duration,
    pub(crate) postgres: Postgres,
    folder: TempDir,
}

impl Cluster {
    /// Starts the database and all nodes.
    pub(crate) async fn start(lease: Duration) -> Self {
        let folder = tempfile::Builder::new().prefix("sutazai-faults.").tempdir().unwrap();
        let postgres = Postgres::start();
        let (mut nodes, mut addresses) = (Vec::new(), Vec::new());
        for number in 0..SERVERS + WORKERS {
            let database = Proxy::before(host_of(&postgres.url())).await;
            let mut settings = settings(&folder, &database.through(&postgres.url()), lease);
            let node = if number < SERVERS {
                let listen = format!("127.0.0.1:{}", free_port());
                let callers = Proxy::before(&listen).await;
                addresses.push(callers.address());
                settings.push(("LISTEN".into(), listen));
                // One that works too, and one that only serves.
                settings.push(("WORKERS".into(), number.to_string()));
                Node::new(
                    format!("server{number}"),
                    "serve",
                    folder.path(),
                    database,
                    Some(callers),
                    settings,
                )
            } else {
                settings.push(("WORKERS".into(), "4".into()));
                let name = format!("worker{}", number - SERVERS);
                Node::new(name, "worker", folder.path(), database, None, settings)
            };
            nodes.push(Mutex::new(node));
        }
        for node in &nodes {
            node.lock().await.start();
        }
        Self { nodes, addresses, lease, postgres, folder }
    }

    /// Where the servers are reached.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// Each run of the agent: task, attempt and process.
    pub(crate) fn traces(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("traces")).unwrap_or_default()
    }

    /// How many tasks have not ended; none while the database is away.
    pub(crate) fn open_tasks(&self) -> Option<u64> {
        let open = "SELECT count(*) FROM tasks WHERE status IN ('pending', 'processing')";
        self.postgres.ask(open).ok()?.first()?.parse().ok()
    }

    /// Waits until every task has ended; whether they did in time.
    pub(crate) async fn settled(&self, limit: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if self.open_tasks() == Some(0) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        false
    }

    /// Puts every plug in again.
    pub(crate) async fn heal(&self) {
        for node in &self.nodes {
            let node = node.lock().await;
            node.database.set(Network::Whole);
            if let Some(callers) = &node.callers {
                callers.set(Network::Whole);
            }
            node.set_clock(0);
        }
    }

    /// Asks all nodes to end, and keeps their logs where one did not end well.
    pub(crate) async fn stop(&self) {
        for node in &self.nodes {
            let mut node = node.lock().await;
            let ended = node.end(Duration::from_secs(30)).await;
            assert!(ended.is_some_and(|status| status.success()), "{} ended so: {ended:?}", node.name);
        }
    }
}

fn settings(folder: &TempDir, database: &str, lease: Duration) -> Vec<(String, String)> {
    let folder = folder.path().display().to_string();
    [
        ("PATH", std::env::var("PATH").unwrap_or_default().as_str()),
        ("HOME", &folder),
        ("DATABASE_URL", database),
        ("JWT_SECRET_KEY", "a key of the driver, as long as it has to be"),
        ("ENABLE_RATE_LIMITING", "false"),
        ("ENABLE_MONITORING", "false"),
        ("LEASE_SECONDS", &lease.as_secs().to_string()),
        ("SHUTDOWN_GRACE_SECONDS", "5"),
        ("LOG_LEVEL", "info"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// A port for good: below those that the system gives to whoever connects.
fn free_port() -> u16 {
    let mut drawn = std::iter::repeat_with(|| rand::random_range(20_000..30_000));
    drawn.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}
