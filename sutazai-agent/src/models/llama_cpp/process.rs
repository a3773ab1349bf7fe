//! Supervisor of the child process of one model.
//!
//! ```text
//! generate ──> InFlightRequests ──> writer thread ──> child ──> reader thread ──> InFlightRequests ──> answer
//!                               supervisor thread: starts the child, monitors it, restarts it
//! ```
//!
//! It uses threads instead of tasks. The kernel ends the child when the *thread* that started it ends (parent-death
//! signal), so that thread must live as long as the model. And a pipe that a stopped child does not read then blocks a
//! dedicated thread instead of the runtime.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, ExitStatus};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use sutazai_core::domain::{ModelProcess, ProcessState};
use sutazai_core::{Error, Result};

use super::in_flight::{InFlightRequests, Waiting};
use super::launcher::ModelLauncher;
use super::protocol::{Command, Load, Loaded, Reply, RequestId, read_frame, write_frame};
use super::state::State;

/// Maximum number of requests in flight or waiting for a restart; a further one is `Busy`.
const MAX_REQUESTS: usize = 68;

/// Interval of the supervisor's checks when nothing notifies it.
const WATCH_INTERVAL: Duration = Duration::from_millis(200);

/// Longest load of a model, self-test included; sized for a large file on a slow disk.
const LOAD_TIMEOUT: Duration = Duration::from_secs(900);

/// First delay before a restart; it doubles with each crash of a child that answered nothing.
const MIN_RESTART_DELAY: Duration = Duration::from_millis(100);

/// Longest delay before a restart.
const MAX_RESTART_DELAY: Duration = Duration::from_secs(5);

/// Longest wait of a request for a restart. When the restart is due later, requests fail at once, so that another
/// backend can answer.
const MAX_WAIT_FOR_RESTART: Duration = Duration::from_secs(2);

/// Longest logged line of the child's standard error, in characters.
const MAX_ERROR_LINE: usize = 500;

/// Model in a child process that is restarted when it crashes.
#[derive(Debug)]
pub(super) struct Supervised {
    shared: Arc<Shared>,
    supervisor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    launcher: ModelLauncher,
    path: PathBuf,
    model: String,
    digest: String,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    phase: Phase,
    flights: InFlightRequests,
    /// Channel to the writer thread of the current child.
    commands: Option<Sender<Command>>,
    /// Time of the child's last frame, or of the first request after an idle period.
    last_sign: Option<Instant>,
    loaded: Option<Loaded>,
    variant: Option<String>,
    refused: Option<Error>,
    /// Time at which a child last became ready.
    ready_since: Option<Instant>,
    crashes: u64,
    last_crash: Option<String>,
    closing: bool,
}

/// Phase of the child's life cycle.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Phase {
    #[default]
    Starting,
    Ready,
    /// The child has closed its standard output.
    Ended,
    /// The child has crashed; the next one starts at `until`.
    Delayed {
        until: Instant,
    },
}

/// Handle of an in-flight request; dropping it cancels the request.
#[derive(Debug)]
pub(super) struct RequestHandle {
    id: RequestId,
    shared: Arc<Shared>,
}

impl Supervised {
    /// Starts the child and waits until the model is loaded and has passed its self-test.
    ///
    /// # Errors
    /// `InvalidInput` naming `MODEL_BACKENDS` or `MODEL_PROGRAM`; `Unavailable` when the child crashes before it is
    /// ready.
    pub(super) fn start(path: &Path, model: &str, digest: &str, launcher: ModelLauncher) -> Result<Self> {
        let shared = Arc::new(Shared {
            launcher,
            path: path.to_path_buf(),
            model: model.to_owned(),
            digest: digest.to_owned(),
            inner: Mutex::default(),
            changed: Condvar::new(),
        });
        let (started, first) = sync_channel(1);
        let supervisor = {
            let shared = shared.clone();
            let supervise = move || supervise(&shared, &started);
            spawn("model-supervisor", supervise)?
        };
        let supervised = Self { shared, supervisor: Some(supervisor) };
        first.recv().unwrap_or_else(|_| Err(Error::internal("the supervisor of the model ended")))?;
        Ok(supervised)
    }

    /// Returns the properties of the loaded model.
    pub(super) fn loaded(&self) -> Result<Loaded> {
        self.shared.lock().loaded.clone().ok_or_else(|| Error::unavailable("the model is not loaded"))
    }

    /// Returns the state of the child process.
    pub(super) fn status(&self) -> ModelProcess {
        let inner = self.shared.lock();
        let state = match inner.phase {
            Phase::Ready => ProcessState::Ready,
            Phase::Starting if inner.crashes == 0 => ProcessState::Starting,
            _ => ProcessState::Restarting,
        };
        ModelProcess {
            state,
            crashes: inner.crashes,
            last_crash: inner.last_crash.clone(),
            variant: inner.variant.clone(),
        }
    }

    /// Sends a request, or keeps it for the child that is about to start.
    ///
    /// # Errors
    /// `Busy` when [`MAX_REQUESTS`] are in flight; `Unavailable` when the next start is more than
    /// [`MAX_WAIT_FOR_RESTART`] off.
    pub(super) fn send(&self, waiting: Waiting) -> Result<RequestHandle> {
        let mut inner = self.shared.lock();
        if let Phase::Delayed { until } = inner.phase {
            let left = until.saturating_duration_since(Instant::now());
            if left > MAX_WAIT_FOR_RESTART {
                let reason = inner.last_crash.as_deref().unwrap_or("ended");
                let message = format!(
                    "the process of the model {} was {reason} and is started again",
                    self.shared.model
                );
                return Err(Error::unavailable(message).with_retry_after(left));
            }
        }
        if inner.flights.len() >= MAX_REQUESTS {
            return Err(super::busy());
        }
        // The silence of an idle child must not count against its first request.
        if inner.flights.is_empty() {
            inner.last_sign = Some(Instant::now());
        }
        let id = inner.flights.begin(waiting);
        if inner.phase == Phase::Ready {
            inner.send(inner.flights.command(id));
        }
        Ok(RequestHandle { id, shared: self.shared.clone() })
    }
}

impl Drop for Supervised {
    /// Kills the child and waits for its end: a model must not compute while the process tears down.
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        if let Some(supervisor) = self.supervisor.take() {
            let _ = supervisor.join();
        }
    }
}

impl Drop for RequestHandle {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        if inner.flights.cancel(self.id) && inner.phase == Phase::Ready {
            inner.send(Some(Command::Cancel { id: self.id }));
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, inner: MutexGuard<'a, Inner>, timeout: Duration) -> MutexGuard<'a, Inner> {
        self.changed.wait_timeout(inner, timeout).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Inner {
    fn send(&self, command: Option<Command>) {
        if let (Some(commands), Some(command)) = (&self.commands, command) {
            let _ = commands.send(command);
        }
    }
}

/// Reason why a child process ended.
enum End {
    /// The child was killed because the model was dropped.
    Closed,
    /// The child reported that it cannot load the model, or it could not be started at all.
    Refused(Error),
    /// The child ended by a signal or an exit code, or it was silent for too long and was killed.
    Crashed { reason: String, kernels_suspected: bool },
}

/// Runs children until the model is dropped. Sends the result of the first start to `started`, and stops if that one
/// failed.
fn supervise(shared: &Arc<Shared>, started: &SyncSender<Result<()>>) {
    let state = State(shared.launcher.state_folder.clone());
    let mut excluded = state.crashed_variants(&shared.digest);
    let (mut delay, mut early_crashes) = (MIN_RESTART_DELAY, 0);
    loop {
        let begun = Instant::now();
        let end = run_child(shared, &excluded, started);
        gauge!("model_process_ready", "model" => shared.model.clone()).set(0.0);
        let mut inner = shared.lock();
        let ever_served = inner.ready_since.is_some();
        let served = inner.ready_since.is_some_and(|since| since >= begun);
        match end {
            End::Closed => return inner.flights.fail_all(&Error::unavailable("the model was closed")),
            End::Refused(e) => {
                if !excluded.is_empty() {
                    // No variant is left to try, so the next start begins with the best one again.
                    state.remember_crashed_variants(&shared.digest, &[]);
                }
                if !ever_served {
                    let _ = started.send(Err(e));
                    return;
                }
                inner.last_crash = Some(e.message().to_owned());
                inner.flights.fail_all(&e);
            }
            End::Crashed { reason, kernels_suspected } => {
                inner.crashes += 1;
                inner.last_crash = Some(reason.clone());
                counter!("model_process_crashes_total", "model" => shared.model.clone()).increment(1);
                tracing::warn!(
                    model = shared.model,
                    variant = inner.variant,
                    reason,
                    "model process crashed"
                );
                let message = format!("the process of the model {} was {reason}", shared.model);
                let error = Error::unavailable(message);
                if !served && kernels_suspected && inner.variant.is_some() {
                    early_crashes += 1;
                    // One crash may be chance; two in a row before the first request point to the kernels of this
                    // variant.
                    if early_crashes == 2
                        && let Some(variant) = inner.variant.take()
                    {
                        early_crashes = 0;
                        tracing::warn!(
                            model = shared.model,
                            variant,
                            "CPU variant excluded; trying the next"
                        );
                        excluded.push(variant);
                        state.remember_crashed_variants(&shared.digest, &excluded);
                    }
                } else if !ever_served {
                    let _ = started.send(Err(error));
                    return;
                }
                inner.flights.crashed(&error);
            }
        }
        if served {
            early_crashes = 0;
        }
        if inner.flights.answered_since_last_look() {
            delay = MIN_RESTART_DELAY;
        }
        let until = Instant::now() + delay;
        delay = (delay * 2).min(MAX_RESTART_DELAY);
        inner.phase = Phase::Delayed { until };
        while !inner.closing && Instant::now() < until {
            inner = shared.wait(inner, until.saturating_duration_since(Instant::now()));
        }
        inner.phase = Phase::Starting;
    }
}

/// Starts one child and monitors it until it ends.
fn run_child(shared: &Arc<Shared>, excluded: &[String], started: &SyncSender<Result<()>>) -> End {
    let mut child = match shared.launcher.spawn() {
        Ok(child) => child,
        Err(e) => {
            let program = shared.launcher.program().display();
            let message =
                format!("expected a program that runs models, but {program} cannot be started: {e}");
            return End::Refused(Error::invalid("MODEL_PROGRAM", message));
        }
    };
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return End::Refused(Error::internal("the pipes of the model process are missing"));
    };
    let (commands, to_write) = channel();
    let load = Load {
        path: shared.path.clone(),
        excluded_variants: excluded.to_vec(),
        memory_limit: shared.launcher.memory_limit,
    };
    let _ = commands.send(Command::Load(load));
    {
        let mut inner = shared.lock();
        inner.phase = Phase::Starting;
        inner.refused = None;
        inner.commands = Some(commands);
        inner.last_sign = Some(Instant::now());
    }
    let threads = [
        spawn("model-writer", move || write_all(stdin, &to_write)),
        spawn("model-reader", {
            let shared = shared.clone();
            move || read_all(&shared, stdout)
        }),
        spawn("model-errors", {
            let model = shared.model.clone();
            move || log_stderr(&model, BufReader::new(stderr))
        }),
    ];
    let end = match threads.iter().find_map(|thread| thread.as_ref().err()) {
        Some(e) => Some(End::Refused(e.clone())),
        None => watch(shared, started),
    };
    // The order avoids a deadlock. Dropping the command channel ends the writer, and the death of the child closes the
    // pipes that the other threads read; joining them first would wait for a child that hangs.
    shared.lock().commands = None;
    let _ = child.kill();
    let status = child.wait();
    for thread in threads.into_iter().flatten() {
        let _ = thread.join();
    }
    end.unwrap_or_else(|| crashed(status, shared.launcher.memory_limit.is_some()))
}

/// Waits for the end of the child; `None` when it ended by itself.
fn watch(shared: &Shared, started: &SyncSender<Result<()>>) -> Option<End> {
    let begun = Instant::now();
    let mut announced = false;
    let mut inner = shared.lock();
    loop {
        if inner.closing {
            return Some(End::Closed);
        }
        if let Some(e) = inner.refused.take() {
            return Some(End::Refused(e));
        }
        let silent = inner.last_sign.map(|at| at.elapsed()).unwrap_or_default();
        let idle = shared.launcher.idle_timeout;
        match inner.phase {
            Phase::Ended => return None,
            Phase::Ready if !announced => {
                announced = true;
                gauge!("model_process_ready", "model" => shared.model.clone()).set(1.0);
                // Only the first start has a receiver that waits for this.
                let _ = started.try_send(Ok(()));
            }
            // A loading child sends frames all the time; a ready one is silent while it has no requests.
            phase if silent > idle && (phase == Phase::Starting || !inner.flights.is_empty()) => {
                let reason = format!("killed because it was silent for {idle:?}");
                return Some(End::Crashed { reason, kernels_suspected: false });
            }
            Phase::Starting if begun.elapsed() > LOAD_TIMEOUT => {
                let reason = format!("killed because it loaded for more than {LOAD_TIMEOUT:?}");
                return Some(End::Crashed { reason, kernels_suspected: true });
            }
            _ => {}
        }
        inner = shared.wait(inner, WATCH_INTERVAL);
    }
}

/// Classifies the end of the child. Under a memory limit an abort is most likely a failed allocation, not a kernel
/// crash.
fn crashed(status: std::io::Result<ExitStatus>, is_limited: bool) -> End {
    let Ok(status) = status else {
        return End::Crashed { reason: "lost".to_owned(), kernels_suspected: false };
    };
    let reason = match (status.signal(), status.code()) {
        // The kernel's out-of-memory killer sends SIGKILL, and so may an operator.
        (Some(libc::SIGKILL), _) => "killed by SIGKILL, perhaps for lack of memory".to_owned(),
        (Some(signal), _) => format!("killed by {}", signal_name(signal)),
        (None, code) => format!("ended with exit code {}", code.unwrap_or_default()),
    };
    let by_kernels = [libc::SIGILL, libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGABRT];
    let suspicious = |signal| by_kernels.contains(&signal) && !(is_limited && signal == libc::SIGABRT);
    let kernels_suspected = status.signal().is_some_and(suspicious);
    End::Crashed { reason, kernels_suspected }
}

/// Returns the name of a signal, as in signal(7).
fn signal_name(signal: i32) -> String {
    let names = [
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGINT, "SIGINT"),
        (libc::SIGQUIT, "SIGQUIT"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGTRAP, "SIGTRAP"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGXCPU, "SIGXCPU"),
        (libc::SIGSYS, "SIGSYS"),
    ];
    let known = names.into_iter().find(|(number, _)| *number == signal);
    known.map_or_else(|| format!("signal {signal}"), |(_, name)| name.to_owned())
}

fn write_all(mut stdin: ChildStdin, commands: &Receiver<Command>) {
    // A write error needs no handling here: the reader notices the end of the child.
    while let Ok(command) = commands.recv() {
        if write_frame(&mut stdin, &command).is_err() {
            return;
        }
    }
}

fn read_all(shared: &Shared, stdout: ChildStdout) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let reply = read_frame(&mut stdout);
        let mut inner = shared.lock();
        inner.last_sign = Some(Instant::now());
        match reply {
            Ok(Some(Reply::Variant { name })) => inner.variant = name,
            Ok(Some(Reply::Ready(loaded))) => {
                inner.loaded = Some(loaded);
                inner.ready_since = Some(Instant::now());
                inner.phase = Phase::Ready;
                for command in inner.flights.commands() {
                    inner.send(Some(command));
                }
                shared.changed.notify_all();
            }
            Ok(Some(Reply::Refused { error })) => {
                inner.refused = Some(error.into());
                shared.changed.notify_all();
            }
            Ok(Some(reply)) => inner.flights.deliver(reply),
            ended => {
                if let Err(e) = ended {
                    tracing::debug!(model = shared.model, error = %e, "model process pipe broke");
                }
                inner.phase = Phase::Ended;
                shared.changed.notify_all();
                return;
            }
        }
    }
}

/// Logs the child's standard error, where native code writes before it aborts.
fn log_stderr(model: &str, errors: impl BufRead) {
    for line in errors.split(b'\n').map_while(std::result::Result::ok).filter(|line| !line.is_empty()) {
        let line: String = String::from_utf8_lossy(&line).chars().take(MAX_ERROR_LINE).collect();
        tracing::info!(model, line, "model process wrote to standard error");
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|e| Error::unavailable("a thread of the model could not be started").with_source(e))
}
