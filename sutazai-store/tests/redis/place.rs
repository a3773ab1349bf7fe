//! A Redis of the test's own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Runs until it is dropped.
pub(crate) struct Server {
    script: Child,
    stdin: Option<ChildStdin>,
    pub(crate) url: String,
    pub(crate) port: String,
    process: String,
}

impl Server {
    /// On this port, or on a free one.
    pub(crate) fn start(port: Option<&str>) -> Self {
        Self::start_with(port, &[])
    }

    /// With these variables in the script's environment.
    pub(crate) fn start_with(port: Option<&str>, environment: &[(&str, &Path)]) -> Self {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/redis.sh"))
            .args(port)
            .envs(environment.iter().copied())
            .env("SUTAZAI_TEST_REDIS_PASSWORD", "correct-horse")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(script.stdout.take().unwrap()).lines().take(3);
        let said: Vec<String> = said.collect::<Result<_, _>>().unwrap();
        let [url, port, process] = said.try_into().unwrap();
        let stdin = script.stdin.take();
        Self { script, stdin, url, port, process }
    }

    /// Stops or goes on with the process as it is: who asks it gets no answer.
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
