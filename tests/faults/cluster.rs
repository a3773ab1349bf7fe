//! All processes of a run.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::broker::Broker;
use crate::links::Links;
use crate::node::{self, Trace};
use crate::postgres::Postgres;
use crate::process::Process;
use crate::receiver;
use crate::redis::Redis;

const SERVERS: usize = 2;
const WORKERS: usize = 3;

/// A process and the proxies of its connections.
pub(crate) struct Node {
    pub(crate) process: Process,
    pub(crate) links: Links,
}

impl Node {
    pub(crate) fn is_server(&self) -> bool {
        self.links.callers.is_some()
    }
}

pub(crate) struct Cluster {
    // Declared before the services that they need, so that they are dropped before these.
    pub(crate) nodes: Vec<tokio::sync::Mutex<Node>>,
    addresses: Vec<SocketAddr>,
    pub(crate) lease: Duration,
    pub(crate) postgres: Postgres,
    pub(crate) redis: Mutex<Redis>,
    broker: Mutex<Broker>,
    folder: TempDir,
}

impl Cluster {
    /// Starts the services, and then all nodes.
    pub(crate) async fn start(lease: Duration) -> Self {
        let folder = tempfile::Builder::new().prefix("sutazai-faults.").tempdir().unwrap();
        let broker = tokio::task::spawn_blocking(Broker::start);
        let redis = tokio::task::spawn_blocking(|| Redis::start(free_port()));
        let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap();
        let (redis, broker) = (redis.await.unwrap(), broker.await.unwrap());
        receiver::prepare(&broker.url).await;
        let (mut nodes, mut addresses) = (Vec::new(), Vec::new());
        for number in 0..SERVERS + WORKERS {
            let listen = (number < SERVERS).then(|| format!("127.0.0.1:{}", free_port()));
            let links = Links::to(&postgres.url(), &redis.url, &broker.url, listen.as_deref()).await;
            let mut settings = settings(lease);
            settings.extend([
                ("DATABASE_URL", links.database.through(&postgres.url())),
                ("REDIS_URL", links.redis.through(&redis.url)),
                ("RABBITMQ_URL", links.broker.through(&broker.url)),
                // One server has workers too, and one only serves.
                ("WORKERS", if number < SERVERS { number } else { 4 }.to_string()),
            ]);
            let (name, role) = match listen {
                Some(listen) => {
                    settings.push(("LISTEN", listen));
                    (format!("server{number}"), "serve")
                }
                None => (format!("worker{}", number - SERVERS), "worker"),
            };
            addresses.extend(links.callers.as_ref().map(|callers| callers.address()));
            let process = Process::new(name, role, folder.path(), settings);
            nodes.push(tokio::sync::Mutex::new(Node { process, links }));
        }
        for node in &nodes {
            node.lock().await.process.start();
        }
        Self { nodes, addresses, lease, postgres, redis: redis.into(), broker: broker.into(), folder }
    }

    /// Returns the addresses of the servers.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// Returns the address of RabbitMQ without a proxy.
    pub(crate) fn broker_url(&self) -> String {
        self.broker.lock().unwrap().url.clone()
    }

    /// Returns all recorded runs of the agent.
    pub(crate) fn traces(&self) -> Vec<Trace> {
        node::traces(self.folder.path())
    }

    /// Kills RabbitMQ and starts it again after `out`.
    pub(crate) fn restart_broker(&self, out: Duration) {
        let mut broker = self.broker.lock().unwrap();
        broker.order("kill");
        std::thread::sleep(out);
        broker.order("start");
    }

    /// Kills Redis and starts it again after `out`.
    pub(crate) fn restart_redis(&self, out: Duration) {
        let mut redis = self.redis.lock().unwrap();
        redis.kill();
        std::thread::sleep(out);
        redis.start_again();
    }

    /// Returns the number of tasks that have not ended; `None` while the database is unreachable.
    pub(crate) fn open_tasks(&self) -> Option<u64> {
        self.postgres.number("SELECT count(*) FROM tasks WHERE status IN ('pending', 'processing')")
    }

    /// Returns the number of events of all tasks.
    pub(crate) fn events(&self) -> Option<u64> {
        self.postgres.number("SELECT coalesce(sum(last_sequence), 0) FROM tasks")
    }

    /// Ends all injected faults.
    pub(crate) async fn heal(&self) {
        for node in &self.nodes {
            let node = node.lock().await;
            node.links.heal();
            node.process.set_clock(0);
        }
    }

    /// Stops all nodes with SIGTERM.
    pub(crate) async fn stop(&self) {
        for node in &self.nodes {
            let process = &mut node.lock().await.process;
            let ended = process.end(Duration::from_secs(30)).await;
            assert!(
                ended.is_some_and(|status| status.success()),
                "{} must end successfully: {ended:?}",
                process.name
            );
        }
    }
}

/// Waits until a condition holds; returns whether it did within `limit`.
pub(crate) async fn until(limit: Duration, mut is_so: impl AsyncFnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if is_so().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    false
}

/// Waits until nothing is left; returns `false` when the number has not decreased for `limit`.
pub(crate) async fn until_none(limit: Duration, left: impl Fn() -> Option<u64>) -> bool {
    let (mut least, mut since) = (u64::MAX, Instant::now());
    while since.elapsed() < limit {
        match left() {
            Some(0) => return true,
            Some(now) if now < least => (least, since) = (now, Instant::now()),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    false
}

/// Returns the settings that all nodes share. Rate limits are counted in Redis, but no caller reaches them.
pub(crate) fn settings(lease: Duration) -> Vec<(&'static str, String)> {
    [
        ("PATH", std::env::var("PATH").unwrap_or_default().as_str()),
        ("JWT_SECRET_KEY", "a key of the driver, as long as it has to be"),
        ("RATE_LIMIT_AUTH_PER_MINUTE", "1000000"),
        ("RATE_LIMIT_PER_MINUTE", "1000000"),
        ("ENABLE_MONITORING", "false"),
        ("LEASE_SECONDS", &lease.as_secs().to_string()),
        ("SHUTDOWN_GRACE_SECONDS", "5"),
        ("LOG_LEVEL", "info"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

/// Returns a free port below those that the system assigns to clients, so that it stays free for restarts.
pub(crate) fn free_port() -> u16 {
    let mut drawn = std::iter::repeat_with(|| rand::random_range(20_000..30_000));
    drawn.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// Returns the last lines of a log, to explain a failure.
pub(crate) fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
