//! The database server of a run (`scripts/postgres.sh`), and queries that use none of our code.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

#[derive(Debug)]
pub(crate) struct Postgres {
    script: Child,
    /// The script stops the server when this is closed.
    stdin: Option<ChildStdin>,
    /// Address without a database: `postgres://user:password@host:port`
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
        let mut line = || lines.next().expect("scripts/postgres.sh must start a server").unwrap();
        let (address, data, programs) = (line(), line(), line());
        let stdin = script.stdin.take();
        Self { script, stdin, address, data, programs }
    }

    /// Returns the address of the database.
    pub(crate) fn url(&self) -> String {
        format!("{}/postgres", self.address)
    }

    /// Stops it as a crash would, and starts it again.
    pub(crate) fn crash(&self) {
        let owner = std::fs::metadata(&self.data).unwrap();
        let mut command = Command::new(format!("{}/pg_ctl", self.programs));
        command.args(["restart", "-m", "immediate", "-w", "-t", "60", "-D", &self.data, "-l"]);
        command.arg(format!("{}/log", self.data)).stdout(Stdio::null()).current_dir("/");
        if std::fs::metadata("/proc/self").unwrap().uid() != owner.uid() {
            command.uid(owner.uid()).gid(owner.gid());
        }
        assert!(command.status().unwrap().success(), "the database server must start again");
    }

    /// Calls `row` with the columns of each row of a query, none of which may be null. Returns an error while
    /// the server is unreachable.
    pub(crate) fn each(&self, sql: &str, mut row: impl FnMut(&[&str])) -> Result<(), String> {
        // `COPY` streams the rows, so that a million of them are never in memory at once.
        let mut psql = Command::new(format!("{}/psql", self.programs))
            .args([&self.url(), "-Xq", "-c", &format!("COPY ({sql}) TO STDOUT")])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        for line in BufReader::new(psql.stdout.take().unwrap()).lines() {
            row(&line.unwrap().split('\t').collect::<Vec<_>>());
        }
        let psql = psql.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&psql.stderr).into_owned();
        if psql.status.success() { Ok(()) } else { Err(errors) }
    }

    /// Returns the number that a query yields; `None` while the server is unreachable.
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
