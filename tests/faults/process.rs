//! One process of ours: it is started, killed, stopped and terminated, its clock is set, and its log is kept.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::node::{FOLDER, NAME, ROLE};

/// A process that may be running, and what it needs to be started again.
pub(crate) struct Process {
    pub(crate) name: String,
    folder: PathBuf,
    settings: Vec<(&'static str, String)>,
    running: Option<(Child, ChildStdin)>,
}

impl Process {
    /// Prepares a process that keeps its log, its clock and its recorded runs in this folder. It is not
    /// started yet.
    pub(crate) fn new(
        name: String,
        role: &str,
        folder: &Path,
        mut settings: Vec<(&'static str, String)>,
    ) -> Self {
        let clock = folder.join(format!("{name}.clock"));
        std::fs::write(&clock, "+0\n").unwrap();
        settings.extend([
            (ROLE, role.to_owned()),
            (NAME, name.clone()),
            (FOLDER, folder.display().to_string()),
            ("HOME", folder.display().to_string()),
            ("LD_PRELOAD", faketime().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            // Waiting uses the monotonic clock, which cannot be set.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]);
        Self { name, folder: folder.to_owned(), settings, running: None }
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
        self.running = Some((child, stdin));
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    /// Kills the process with SIGKILL.
    pub(crate) fn kill(&mut self) {
        let (mut child, _) = self.running.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Sends a signal: SIGSTOP, SIGCONT or SIGTERM.
    pub(crate) fn signal(&self, name: &str) {
        let (child, _) = self.running.as_ref().unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Returns its exit status if it has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.running.as_mut().and_then(|(child, _)| child.try_wait().unwrap())
    }

    /// Sends SIGTERM and waits for the end; returns the exit status, or `None` if it had to be killed after
    /// `limit`.
    pub(crate) async fn end(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.signal("TERM");
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if let Some(status) = self.ended() {
                self.running = None;
                return Some(status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.kill();
        None
    }

    /// Sets its clock ahead of the machine's by this many seconds, or behind if negative.
    pub(crate) fn set_clock(&self, seconds: i64) {
        let clock = self.folder.join(format!("{}.clock", self.name));
        // Replaced atomically, so that the file is never read in part.
        let next = clock.with_extension("next");
        std::fs::write(&next, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(&next, &clock).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.kill();
        }
    }
}

/// Returns the path of the library in Debian's package `libfaketime`.
fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|folder| folder.unwrap().path());
    let libraries = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    let mut there = libraries.filter(|library| library.is_file());
    there.next().expect("libfaketime must be installed: run scripts/install.sh test")
}
