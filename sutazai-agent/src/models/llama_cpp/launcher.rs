//! Launch settings of a model's child process.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::super::DEFAULT_IDLE_TIMEOUT;

/// Variables that the child inherits: the library search path and the folder of temporary files. Everything else,
/// including secrets of the parent, stays out of a process that runs native code.
const INHERITED: [&str; 2] = ["LD_LIBRARY_PATH", "TMPDIR"];

/// Program that runs one model: it calls [`run_model_process`](super::super::run_model_process) and nothing else.
#[derive(Debug, Clone)]
pub struct ModelLauncher {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    pub(super) memory_limit: Option<u64>,
    pub(super) idle_timeout: Duration,
    pub(super) state_folder: Option<PathBuf>,
}

impl ModelLauncher {
    /// Creates a launcher of `program` without arguments.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            memory_limit: None,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            state_folder: default_state_folder(),
        }
    }

    /// Adds a command-line argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds a variable to the child's environment, which otherwise has only `LD_LIBRARY_PATH` and `TMPDIR`.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets the limit of the child's private memory in bytes; the mapped model file does not count.
    #[must_use]
    pub fn memory_limit(mut self, bytes: Option<u64>) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// Sets the longest silence of a computing child before it is killed.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets the folder for digests of model files and for CPU variants that crashed; `~/.cache/sutazai` by default.
    #[must_use]
    pub fn state_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.state_folder = Some(folder.into());
        self
    }

    /// Returns the path of the program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    pub(super) fn spawn(&self) -> io::Result<Child> {
        let inherited =
            INHERITED.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
        Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(inherited)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }
}

fn default_state_folder() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    cache.map(|cache| cache.join("sutazai"))
}
