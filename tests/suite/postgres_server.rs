//! PostgreSQL server for one test.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::support::Place;

/// PostgreSQL server that ends with the test.
pub(crate) struct Postgres {
    script: Child,
    stdin: Option<ChildStdin>,
    pub(crate) url: String,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres.sh"))
            .arg("fsync=off")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // All lines must be read: the script ends early if its output is closed.
        let lines = BufReader::new(script.stdout.take().unwrap()).lines().take(3);
        let lines: Vec<String> = lines.collect::<Result<_, _>>().unwrap();
        let stdin = script.stdin.take();
        Self { script, stdin, url: format!("{}/postgres", lines[0]) }
    }

    pub(crate) fn settings(&self, place: &Place) -> Vec<(String, String)> {
        let mut settings = place.settings();
        settings.retain(|(name, _)| name != "DATABASE_URL");
        settings.push(("DATABASE_URL".into(), self.url.clone()));
        settings.push(("ENABLE_AUTH".into(), "false".into()));
        settings
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.script.wait();
    }
}
