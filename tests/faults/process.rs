//! One node as a process: started, killed, stopped, asked to end, its clock set, its log kept.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::node::{NAME, ROLE, TRACES};
use crate::proxy::Proxy;

/// What of a node outlives its processes.
pub(crate) struct Node {
    pub(crate) name: String,
    role: &'static str,
    folder: PathBuf,
    settings: Vec<(String, String)>,
    /// Between it and the database.
    pub(crate) database: Proxy,
    /// Between its callers and it; none for workers.
    pub(crate) callers: Option<Proxy>,
    process: Option<(Child, ChildStdin)>,
}

impl Node {
    pub(crate) fn new(
        name: String,
        role: &'static str,
        folder: &Path,
        database: Proxy,
        callers: Option<Proxy>,
        mut settings: Vec<(String, String)>,
    ) -> Self {
        let clock = folder.join(format!("{name}.clock"));
        std::fs::write(&clock, "+0\n").unwrap();
        let traces = folder.join("traces").display().to_string();
        settings.extend(
            [
                (ROLE, role),
                (NAME, &name),
                (TRACES, &traces),
                ("LD_PRELOAD", &faketime().display().to_string()),
                ("FAKETIME_TIMESTAMP_FILE", &clock.display().to_string()),
                ("FAKETIME_CACHE_DURATION", "1"),
                // Waiting is by the monotonic clock, which nobody sets.
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
                ("DONT_FAKE_MONOTONIC", "1"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        Self { name, role, folder: folder.to_owned(), settings, database, callers, process: None }
    }

    pub(crate) fn is_server(&self) -> bool {
        self.role == "serve"
    }

    pub(crate) fn start(&mut self) {
        let log = File::options().append(true).create(true).open(self.log()).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env_clear()
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        self.process = Some((child, stdin));
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        let (mut child, _) = self.process.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGSTOP, SIGCONT, SIGTERM.
    pub(crate) fn signal(&self, name: &str) {
        let (child, _) = self.process.as_ref().unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Whether it runs still, as far as it has been told.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut().and_then(|(child, _)| child.try_wait().unwrap())
    }

    /// SIGTERM, and the end; how it ended.
    pub(crate) async fn end(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.signal("TERM");
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if let Some(status) = self.ended() {
                self.process = None;
                return Some(status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.kill();
        None
    }

    /// Sets its clock so many seconds ahead of the machine's, or behind.
    pub(crate) fn set_clock(&self, seconds: i64) {
        let clock = self.folder.join(format!("{}.clock", self.name));
        // Never a file that is half written.
        let next = clock.with_extension("next");
        std::fs::write(&next, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(&next, &clock).unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

/// The library of Debian's package `libfaketime`.
fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|folder| folder.unwrap().path());
    let libraries = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    let mut there = libraries.filter(|library| library.is_file());
    there.next().expect("no libfaketime: run scripts/install.sh test")
}
