//! PgBouncer in transaction mode in front of a server (`scripts/pgbouncer.sh`).

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::place::Server;

/// Pooler that ends together with the process that started it.
pub(crate) struct Pooler {
    address: String,
    script: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Pooler {
    /// Starts a pooler with fewer connections to the server than a store opens to the pooler.
    pub(crate) fn start(server: &Server) -> Self {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/pgbouncer.sh"))
            .args([server.address(), "default_pool_size=3", "max_client_conn=400"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(script.stdout.take().unwrap()).lines();
        let address = lines.next().expect("scripts/pgbouncer.sh must start a pooler").unwrap();
        let stdin = script.stdin.take();
        Self { address, script, stdin, lines }
    }

    /// Returns the address of a database of that server, through the pooler.
    pub(crate) fn through(&self, url: &str) -> String {
        let (_, database) = url.rsplit_once('/').unwrap();
        format!("{}/{database}?pgbouncer=true", self.address)
    }

    /// Kills the pooler and starts it again.
    pub(crate) fn restart(&mut self) {
        self.stdin.as_mut().unwrap().write_all(b"restart\n").unwrap();
        assert_eq!(self.lines.next().unwrap().unwrap(), "restarted");
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.script.wait();
    }
}
