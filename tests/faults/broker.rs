//! A RabbitMQ server (`scripts/rabbitmq.sh`), which can be killed and started again over what it kept.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Runs until it is dropped.
#[derive(Debug)]
pub(crate) struct Broker {
    script: Child,
    /// The script ends the server when this is closed.
    orders: Option<ChildStdin>,
    said: Lines<BufReader<ChildStdout>>,
    /// `amqp://user:password@host:port/vhost`
    pub(crate) url: String,
}

impl Broker {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With these variables in the script's environment.
    pub(crate) fn start_with(environment: &[(&str, &Path)]) -> Self {
        let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let script = folders.map(|folder| folder.join("scripts/rabbitmq.sh")).find(|script| script.is_file());
        let mut script = Command::new(script.unwrap())
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(script.stdout.take().unwrap()).lines();
        let url = said.next().unwrap_or_else(|| panic!("scripts/rabbitmq.sh starts no server")).unwrap();
        said.next().unwrap().unwrap();
        let orders = script.stdin.take();
        Self { script, orders, said, url }
    }

    /// `kill` or `start`; waits until it is done.
    pub(crate) fn order(&mut self, order: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        let done = self.said.next().unwrap_or_else(|| panic!("scripts/rabbitmq.sh has ended")).unwrap();
        assert!(done.starts_with(order), "{done}");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.script.wait();
    }
}
