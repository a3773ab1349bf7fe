//! Docker engine for these tests only (`scripts/dockerd.sh`), stopped on drop.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use sutazai_core::ports::{Clock, SystemClock};
use tempfile::TempDir;

use super::load;

/// Engine with an image `load`, whose only program is `fixtures/load.c`.
pub(crate) struct Engine {
    folder: TempDir,
}

impl Engine {
    /// Starts an engine; panics with what is missing if there are no packages or no root rights.
    pub(crate) fn start() -> Self {
        let here = ["dockerd", "docker"].iter().all(|program| on_path(program));
        assert!(here, "no Docker engine is installed: scripts/install.sh test installs it");
        let engine = Self { folder: tempfile::Builder::new().prefix("sutazai-docker").tempdir().unwrap() };
        engine.start_again();
        engine
    }

    /// Restarts the engine with the same state.
    pub(crate) fn start_again(&self) {
        let started = self.script("start").output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        assert_eq!(String::from_utf8_lossy(&started.stdout).trim(), self.host());
    }

    /// Returns the engine's address.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("docker.sock").display())
    }

    /// Sends a signal to the engine process.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(self.folder.path().join("docker.pid")).unwrap();
        assert!(Command::new("kill").args([signal, pid.trim()]).status().unwrap().success());
    }

    /// Runs a Docker command, which must succeed, and returns its output.
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        let ran = Command::new("docker").arg("--host").arg(self.host()).args(arguments).output().unwrap();
        assert!(ran.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    /// Imports an image of the load program; `change` is an instruction of a Dockerfile.
    pub(crate) fn import(&self, name: &str, change: &[&str]) {
        let mut tar = Command::new("tar")
            .arg("-C")
            .arg(load::program().parent().unwrap())
            .args(["-c", "load"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let changes = change.iter().flat_map(|change| ["--change", *change]);
        let imported = Command::new("docker")
            .arg("--host")
            .arg(self.host())
            .arg("import")
            .args(changes)
            .args(["-", name])
            .stdin(tar.stdout.take().unwrap())
            .output()
            .unwrap();
        assert!(tar.wait().unwrap().success());
        assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    }

    /// Starts a container of an image with `/load` and these arguments.
    pub(crate) fn run(&self, name: &str, options: &[&str], image: &str, load: &[&str]) {
        let fixed = ["run", "--detach", "--network", "none", "--name", name];
        self.docker(&[&fixed, options, &[image, "/load"], load].concat());
    }

    /// Returns the answer of `docker inspect` for a container.
    pub(crate) fn inspect(&self, name: &str) -> Value {
        let mut all: Vec<Value> = serde_json::from_str(&self.docker(&["inspect", name])).unwrap();
        all.remove(0)
    }

    /// Returns the first process of a running container.
    pub(crate) fn pid(&self, name: &str) -> u32 {
        self.inspect(name)["State"]["Pid"].as_u64().unwrap() as u32
    }

    /// Waits until `holds` is true for a container.
    pub(crate) async fn until(&self, name: &str, holds: impl Fn(&Value) -> bool) {
        for _ in 0..300 {
            if holds(&self.inspect(name)) {
                return;
            }
            SystemClock.sleep(Duration::from_millis(100)).await;
        }
        panic!("{name} did not come to be as it should: {}", self.inspect(name)["State"]);
    }

    fn script(&self, verb: &str) -> Command {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/dockerd.sh"));
        script.arg(verb).arg(self.folder.path());
        script
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let stopped = self.script("stop").status();
        // A second panic during the unwinding of a failed test would hide the reason of the failure.
        if !std::thread::panicking() {
            assert!(stopped.is_ok_and(|status| status.success()), "the Docker engine could not be stopped");
        }
    }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).any(|file: PathBuf| file.is_file())
}
