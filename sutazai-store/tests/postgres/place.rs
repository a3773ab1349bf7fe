//! PostgreSQL server for all tests (`scripts/postgres.sh`), with a database of its own for each.

#![allow(dead_code)] // not every test binary with this module uses all of it

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Server that ends together with the process that started it, however that ends.
pub(crate) struct Server {
    address: String,
    data: String,
    programs: String,
    script: Child,
    /// The script stops the server when this is closed.
    stdin: Option<ChildStdin>,
    databases: AtomicU32,
}

impl Server {
    /// Returns the server that the tests share.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&["fsync=off", "max_connections=500"]))
    }

    /// Starts a server with these settings.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/postgres.sh"))
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(script.stdout.take().unwrap()).lines();
        let mut line = || lines.next().expect("scripts/postgres.sh must start a server").unwrap();
        let (address, data, programs) = (line(), line(), line());
        let stdin = script.stdin.take();
        Self { address, data, programs, script, stdin, databases: AtomicU32::new(0) }
    }

    /// Returns the address without a database: `postgres://user:password@host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Creates a database and returns its address.
    pub(crate) async fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(&format!("{}/postgres", self.address)).await.unwrap();
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        format!("{}/{name}", self.address)
    }

    /// Runs `pg_ctl` with these arguments, as the user of the server, and waits for it.
    pub(crate) fn control(&self, words: &[&str]) {
        use std::os::unix::fs::MetadataExt;
        use std::os::unix::process::CommandExt;
        let owner = std::fs::metadata(&self.data).unwrap();
        let mut command = Command::new(format!("{}/pg_ctl", self.programs));
        command.args(words).args(["-w", "-D", &self.data, "-l"]).arg(format!("{}/log", self.data));
        command.stdout(Stdio::null()).current_dir("/");
        if std::fs::metadata("/proc/self").unwrap().uid() != owner.uid() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        assert!(command.status().unwrap().success(), "pg_ctl {words:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.script.wait();
    }
}

/// Creates a database on the shared server and returns its address.
pub(crate) async fn database() -> String {
    Server::shared().database().await
}
