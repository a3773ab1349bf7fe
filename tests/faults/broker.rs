//! RabbitMQ server (`scripts/rabbitmq.sh`), which can be killed and started again with its data.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Server that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Broker {
    script: Child,
    /// The script stops the server when this is closed.
    orders: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    /// Address of the server: `amqp://user:password@host:port/vhost`
    pub(crate) url: String,
}

impl Broker {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts it with these variables in the environment of the script.
    pub(crate) fn start_with(environment: &[(&str, &Path)]) -> Self {
        let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let script = folders.map(|folder| folder.join("scripts/rabbitmq.sh")).find(|script| script.is_file());
        let mut script = Command::new(script.unwrap())
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(script.stdout.take().unwrap()).lines();
        let url = lines.next().unwrap_or_else(|| panic!("scripts/rabbitmq.sh must start a server")).unwrap();
        lines.next().unwrap().unwrap();
        let orders = script.stdin.take();
        Self { script, orders, lines, url }
    }

    /// Sends `kill` or `start` to the script, and waits until that is done.
    pub(crate) fn order(&mut self, order: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        let done = self.lines.next().unwrap_or_else(|| panic!("scripts/rabbitmq.sh has ended")).unwrap();
        assert!(done.starts_with(order), "{done}");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.script.wait();
    }
}
