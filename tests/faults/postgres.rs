//! The database server of a run (`scripts/postgres.sh`), and questions to it that take no code of ours.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

#[derive(Debug)]
pub(crate) struct Postgres {
    script: Child,
    /// The script ends the server when this is closed.
    stdin: Option<ChildStdin>,
    /// `postgres://user:password@host:port`
    address: String,
    data: String,
    programs: String,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres.sh"))
            .arg("max_connections=200")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(script.stdout.take().unwrap()).lines();
        let mut line = || lines.next().expect("scripts/postgres.sh could not start a server").unwrap();
        let (address, data, programs) = (line(), line(), line());
        let stdin = script.stdin.take();
        Self { script, stdin, address, data, programs }
    }

    /// The address of the database.
    pub(crate) fn url(&self) -> String {
        format!("{}/postgres", self.address)
    }

    /// Ends it as a crash would, and starts it again.
    pub(crate) fn crash(&self) {
        let owner = std::fs::metadata(&self.data).unwrap();
        let mut command = Command::new(format!("{}/pg_ctl", self.programs));
        command.args(["restart", "-m", "immediate", "-w", "-t", "60", "-D", &self.data, "-l"]);
        command.arg(format!("{}/log", self.data)).stdout(Stdio::null()).current_dir("/");
        if std::fs::metadata("/proc/self").unwrap().uid() != owner.uid() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        assert!(command.status().unwrap().success(), "the database server does not come back");
    }

    /// Calls with the columns of each row that a query gives, of which none may be null; an error while the server is away.
    pub(crate) fn each(&self, sql: &str, mut row: impl FnMut(&[&str])) -> Result<(), String> {
        // `COPY`, so that a million rows are never in one place.
        let mut asked = Command::new(format!("{}/psql", self.programs))
            .args([&self.url(), "-Xq", "-c", &format!("COPY ({sql}) TO STDOUT")])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        for line in BufReader::new(asked.stdout.take().unwrap()).lines() {
            row(&line.unwrap().split('\t').collect::<Vec<_>>());
        }
        let asked = asked.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        if asked.status.success() { Ok(()) } else { Err(said) }
    }

    /// The number that a query gives; none while the server is away.
    pub(crate) fn number(&self, sql: &str) -> Option<u64> {
        let mut number = None;
        self.each(sql, |columns| number = columns[0].parse().ok()).ok()?;
        number
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.script.wait();
    }
}
