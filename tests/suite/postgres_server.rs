//! A PostgreSQL server of a test's own.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::support::Place;

/// A PostgreSQL server of the test's own, ended with it.
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
        // All that it says: it would end early if nobody listened to the rest.
        let said = BufReader::new(script.stdout.take().unwrap()).lines().take(3);
        let said: Vec<String> = said.collect::<Result<_, _>>().unwrap();
        let stdin = script.stdin.take();
        Self { script, stdin, url: format!("{}/postgres", said[0]) }
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
