//! The Redis server of a run (`scripts/redis.sh`), which can be killed and started again on the same port. It
//! then has lost all data, as a cache may.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

const PASSWORD: &str = "a-password-of-the-driver";

#[derive(Debug)]
pub(crate) struct Redis {
    script: Child,
    /// The script stops the server when this is closed.
    stdin: Option<ChildStdin>,
    /// Address of the server: `redis://:password@host:port/database`
    pub(crate) url: String,
    port: u16,
    process: String,
}

impl Redis {
    pub(crate) fn start(port: u16) -> Self {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/redis.sh"))
            .arg(port.to_string())
            .env("SUTAZAI_TEST_REDIS_PASSWORD", PASSWORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(script.stdout.take().unwrap()).lines();
        let mut line = || lines.next().expect("scripts/redis.sh must start a server").unwrap();
        let (url, _, process) = (line(), line(), line());
        let stdin = script.stdin.take();
        Self { script, stdin, url, port, process }
    }

    /// Kills the server with SIGKILL.
    pub(crate) fn kill(&self) {
        assert!(Command::new("kill").args(["-9", &self.process]).status().unwrap().success());
    }

    /// Starts it again on the same port.
    pub(crate) fn start_again(&mut self) {
        *self = Self::start(self.port);
    }

    /// Returns how many keys were found since its start.
    pub(crate) fn hits(&self) -> u64 {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string(), "info", "stats"])
            .env("REDISCLI_AUTH", PASSWORD)
            .output()
            .unwrap();
        let statistics = String::from_utf8(output.stdout).unwrap();
        statistics
            .lines()
            .find_map(|line| line.strip_prefix("keyspace_hits:")?.parse().ok())
            .unwrap_or_default()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.script.wait();
    }
}
