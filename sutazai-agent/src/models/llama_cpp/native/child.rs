//! Main program of a model's child process: reads requests from standard input and writes answers to standard output.
//!
//! ```text
//! standard input ──> reader (main thread) ──> preparer ──> the model's thread ──> standard output
//!                      │ cancels                │ tokens, constraint
//! ```
//!
//! The reader waits for input only. So a cancellation arrives while a large request is being prepared, and the end of
//! the input, which signals a dead parent, ends the process at any time.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process};
use sutazai_core::domain::ModelEvent;
use sutazai_core::{Error, Result};

use super::super::file;
use super::super::protocol::{Command, Load, Reply, RequestId, read_frame, write_frame};
use super::{Answer, Model, Vectors, kernels, sandbox};

/// Maximum interval between heartbeats to the parent while the model computes.
const ALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// Stack size of the thread that prepares requests.
const PREPARER_STACK_BYTES: usize = 16 * 1024 * 1024;

/// Serves one model over standard input and output until the input ends.
///
/// This is the whole `main` of such a process; call it before anything else opens a file or starts a thread.
pub fn run() -> ExitCode {
    sandbox::close_inherited_descriptors();
    sandbox::end_with_parent();
    sandbox::be_nice();
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // The parent logs standard error.
            eprintln!("model process failed: {e}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    // Frames go to a private descriptor, since a library that prints to standard output must not corrupt them.
    rustix::stdio::dup2_stdout(io::stderr())?;
    let parent = Arc::new(Parent::new(File::from(output)));
    let mut input = BufReader::new(io::stdin().lock());
    let load = match read_frame(&mut input)? {
        Some(Command::Load(load)) => load,
        Some(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "the first frame loads no model")),
        None => return Ok(()),
    };
    let running = Running::default();
    let (prepare, requests) = channel();
    let worker = {
        let (parent, running) = (parent.clone(), running.clone());
        move || match open(&load, &parent) {
            Ok(model) => prepare_all(&model, &requests, &parent, &running),
            Err(e) => parent.send(&Reply::Refused { error: e.into() }),
        }
    };
    // The preparer needs a large stack: the parser of constraints recurses with their nesting.
    std::thread::Builder::new().name("preparer".to_owned()).stack_size(PREPARER_STACK_BYTES).spawn(worker)?;
    while let Some(command) = read_frame(&mut input)? {
        match command {
            Command::Cancel { id } => running.cancel(id),
            Command::Generate { id, .. } | Command::Embed { id, .. } => {
                running.begin(id);
                let _ = prepare.send(command);
            }
            Command::Load(_) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the model is loaded already"));
            }
        }
    }
    end_at_once();
    Ok(())
}

/// Kills the process without waiting for native code, which has nothing to save.
fn end_at_once() {
    let _ = kill_process(getpid(), Signal::KILL);
}

/// Loads the model while a second thread sends heartbeats to the parent.
fn open(load: &Load, parent: &Arc<Parent>) -> Result<Model> {
    let (loading, loaded) = channel::<()>();
    let ticking = {
        let parent = parent.clone();
        move || {
            while let Err(RecvTimeoutError::Timeout) = loaded.recv_timeout(ALIVE_INTERVAL) {
                parent.send(&Reply::Alive);
            }
        }
    };
    let ticker = std::thread::Builder::new().name("ticker".to_owned()).spawn(ticking);
    let model = load_model(load, parent);
    drop(loading);
    if let Ok(ticker) = ticker {
        let _ = ticker.join();
    }
    let model = model?;
    parent.send(&Reply::Ready(model.loaded().clone()));
    Ok(model)
}

fn load_model(load: &Load, parent: &Arc<Parent>) -> Result<Model> {
    sandbox::limit_memory(load.memory_limit).map_err(|e| {
        Error::invalid("MODEL_MEMORY_LIMIT_BYTES", "expected a limit that the kernel accepts").with_source(e)
    })?;
    let variant = kernels::load(&load.excluded_variants)?;
    // The filter is installed after the trusted libraries are loaded and before the untrusted model file is opened.
    if let Err(e) = sandbox::deny_system_calls() {
        eprintln!("system calls not restricted: {e}");
    }
    parent.send(&Reply::Variant { name: variant });
    let progress = {
        let parent = parent.clone();
        move || parent.alive()
    };
    let name = file::model_name(&load.path);
    let model = Model::open(&load.path, &name, Arc::new(progress))?;
    model.self_test()?;
    Ok(model)
}

/// Tokenizes requests, compiles their constraints and queues them, one after the other.
fn prepare_all(model: &Model, requests: &Receiver<Command>, parent: &Arc<Parent>, running: &Running) {
    while let Ok(command) = requests.recv() {
        let (Command::Generate { id, .. } | Command::Embed { id, .. }) = &command else { continue };
        let id = *id;
        let request = Request { id, parent: parent.clone(), running: running.clone() };
        if request.is_cancelled() {
            continue;
        }
        parent.send(&Reply::Preparing { id: Some(id) });
        let queued = match command {
            Command::Generate { request: wanted, .. } => model.generate(wanted, Box::new(request)),
            Command::Embed { texts, .. } => model.embed(&texts, Box::new(request)),
            Command::Load(_) | Command::Cancel { .. } => Ok(()),
        };
        if let Err(e) = queued {
            parent.send(&Reply::Failed { id, error: e.into() });
        }
        parent.send(&Reply::Preparing { id: None });
    }
}

/// Output channel to the parent process.
struct Parent {
    output: Mutex<File>,
    last_sent: Mutex<Instant>,
}

impl Parent {
    fn new(output: File) -> Self {
        Self { output: Mutex::new(output), last_sent: Mutex::new(Instant::now()) }
    }

    /// Writes one frame. When the parent cannot be written to, it has ended, and this process ends too.
    fn send(&self, reply: &Reply) {
        let written = write_frame(&*self.output.lock().unwrap_or_else(PoisonError::into_inner), reply);
        match written {
            Ok(()) => *self.last_sent.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now(),
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => eprintln!("answer not sent: {e}"),
            Err(_) => end_at_once(),
        }
    }

    /// Sends a heartbeat unless a frame was sent within [`ALIVE_INTERVAL`].
    fn alive(&self) {
        let last = *self.last_sent.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= ALIVE_INTERVAL {
            self.send(&Reply::Alive);
        }
    }
}

/// In-flight requests, each with its cancellation flag.
#[derive(Debug, Clone, Default)]
struct Running(Arc<Mutex<HashMap<RequestId, Arc<AtomicBool>>>>);

impl Running {
    fn begin(&self, id: RequestId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::default());
    }

    fn cancel(&self, id: RequestId) {
        if let Some(cancelled) = self.get(id) {
            cancelled.store(true, Ordering::Relaxed);
        }
    }

    fn end(&self, id: RequestId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn get(&self, id: RequestId) -> Option<Arc<AtomicBool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}

/// Answer channel of one request; dropping it ends the request.
struct Request {
    id: RequestId,
    parent: Arc<Parent>,
    running: Running,
}

impl Request {
    fn is_cancelled(&self) -> bool {
        self.running.get(self.id).is_none_or(|cancelled| cancelled.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.running.end(self.id);
    }
}

impl Answer<Result<ModelEvent>> for Request {
    fn send(&mut self, part: Result<ModelEvent>) {
        let id = self.id;
        self.parent.send(&match part {
            Ok(ModelEvent::Text(text)) => Reply::Text { id, text },
            Ok(ModelEvent::Done(usage)) => Reply::Done { id, usage },
            Err(e) => Reply::Failed { id, error: e.into() },
        });
    }

    fn is_closed(&self) -> bool {
        self.is_cancelled()
    }
}

impl Answer<Result<Vectors>> for Request {
    fn send(&mut self, part: Result<Vectors>) {
        let id = self.id;
        self.parent.send(&match part {
            Ok((vectors, prompt_tokens)) => Reply::Vectors { id, vectors, prompt_tokens },
            Err(e) => Reply::Failed { id, error: e.into() },
        });
    }

    fn is_closed(&self) -> bool {
        self.is_cancelled()
    }
}
