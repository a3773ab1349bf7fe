//! Support for running the real binary: its path, the model, a folder per test, servers that end with the
//! test.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Upper bound that only a hang exceeds, even on a busy machine; not a measurement.
pub(crate) const HANG_LIMIT: Duration = Duration::from_secs(60);

/// Returns the path of the GGUF file that `scripts/model.sh` downloads.
pub(crate) fn model() -> PathBuf {
    let path = std::env::var_os("SUTAZAI_TEST_MODEL").map_or_else(
        || {
            let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
            home.join(".cache/sutazai/models/SmolLM2-135M-Instruct.Q4_1.gguf")
        },
        PathBuf::from,
    );
    assert!(path.is_file(), "the model must be at {}: run scripts/model.sh", path.display());
    path
}

/// Returns the Python with the packages that `scripts/python-env.sh` installs; their tools are next to it.
pub(crate) fn python() -> PathBuf {
    if let Some(named) = std::env::var_os("SUTAZAI_TEST_PYTHON") {
        return named.into();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/python-env.sh");
    let made = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(made.status.success(), "{script} ended with {}", made.status);
    text(&made.stdout).trim().into()
}

/// Folder with a database of its own, and settings that do not depend on the environment.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let home = self.folder.path().display().to_string();
        vec![
            ("PATH".into(), std::env::var("PATH").unwrap_or_default()),
            ("HOME".into(), home.clone()),
            ("DATABASE_URL".into(), format!("sqlite://{home}/sutazai.db")),
            // Tests send more requests per minute than people do.
            ("ENABLE_RATE_LIMITING".into(), "false".into()),
        ]
    }

    pub(crate) fn with_model(&self) -> Vec<(String, String)> {
        let mut settings = self.settings();
        settings.push(("MODEL_BACKENDS".into(), format!("llama-cpp={}", model().display())));
        settings
    }

    /// Builds a command that runs the binary with these settings and no other environment variables.
    pub(crate) fn sutazai(&self, settings: &[(String, String)], arguments: &[&str]) -> Command {
        self.program(Path::new(env!("CARGO_BIN_EXE_sutazai")), settings, arguments)
    }

    pub(crate) fn program(
        &self,
        program: &Path,
        settings: &[(String, String)],
        arguments: &[&str],
    ) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(settings.iter().cloned()).args(arguments).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.sutazai(&self.settings(), arguments).output().unwrap()
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Server or worker process that ends with the test.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    log: Option<JoinHandle<String>>,
}

impl Server {
    /// Starts `serve` on a free port and waits until it listens.
    pub(crate) fn start(place: &Place, settings: &[(String, String)]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let command = place.sutazai(settings, &["serve", "--listen", &address]);
        Self::spawn(command, address)
    }

    /// Starts `worker` and waits until it works.
    pub(crate) fn worker(place: &Place, settings: &[(String, String)]) -> Self {
        Self::spawn(place.sutazai(settings, &["worker"]), String::new())
    }

    /// Starts a process and waits until it logs that it listens or works.
    pub(crate) fn spawn(mut command: Command, address: String) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "the server must start: {seen}");
            seen.push_str(&line);
            if line.contains("server listening") || line.contains("worker started") {
                break;
            }
        }
        let log = std::thread::spawn(move || {
            // Read to the end, so that the server never blocks on a full pipe.
            let mut rest = Vec::new();
            let _ = log.read_to_end(&mut rest);
            seen + &text(&rest)
        });
        Self { child, address, log: Some(log) }
    }

    /// Returns the whole log of a server that has ended.
    pub(crate) fn log(&mut self) -> String {
        self.log.take().unwrap().join().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end, at most `limit`, and returns the exit code.
    pub(crate) fn ended_within(&mut self, limit: Duration) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            #[allow(clippy::disallowed_methods)] // a real process ends in real time
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server must end within {limit:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
