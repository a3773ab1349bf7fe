//! Redis server for one test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Server that runs until this is dropped.
pub(crate) struct Server {
    script: Child,
    stdin: Option<ChildStdin>,
    pub(crate) url: String,
    pub(crate) port: String,
    process: String,
}

impl Server {
    /// Starts it on this port, or on a free one.
    pub(crate) fn start(port: Option<&str>) -> Self {
        Self::start_with(port, &[])
    }

    /// Starts it with these variables in the environment of the script.
    pub(crate) fn start_with(port: Option<&str>, environment: &[(&str, &Path)]) -> Self {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/redis.sh"))
            .args(port)
            .envs(environment.iter().copied())
            .env("SUTAZAI_TEST_REDIS_PASSWORD", "correct-horse")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(script.stdout.take().unwrap()).lines().take(3);
        let lines: Vec<String> = lines.collect::<Result<_, _>>().unwrap();
        let [url, port, process] = lines.try_into().unwrap();
        let stdin = script.stdin.take();
        Self { script, stdin, url, port, process }
    }

    /// Sends a signal to the server process, such as `STOP`, after which it answers no call.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.process]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.script.wait();
    }
}
