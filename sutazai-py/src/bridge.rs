//! Opened engine as Python sees it, and the two ways to make a request of it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sutazai::domain::{Caller, UserRole};
use sutazai::external::futures::FutureExt;
use tokio::runtime::Handle;

use crate::agent::AgentQueues;
use crate::failure::{Failure, panicked};
use crate::local::{Local, Queues, TestParts};
use crate::port_call::PortQueues;
use crate::queue::{Item, Queue};
use crate::remote::Remote;
use crate::runtime::{self, Process};
use crate::stream::Stream;
use crate::target::Target;
use crate::verbs::Answer;

/// Interval at which a thread that waits looks for signals.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

create_exception!(_sutazai, Failed, PyException, "Failure of a request; its argument is the error as JSON.");
create_exception!(_sutazai, ForkedError, PyRuntimeError, "Use of an engine that another process opened.");

/// Runs a request to its end, and turns a panic into a failure.
async fn guarded(request: impl Future<Output = Answer>) -> Answer {
    AssertUnwindSafe(request).catch_unwind().await.unwrap_or_else(|payload| Err(panicked(&*payload)))
}

/// Waits for a request on this thread, without the interpreter lock. An exception of a signal handler, such as that of
/// Ctrl-C, ends the wait.
pub(crate) fn wait<'py>(
    py: Python<'py>,
    handle: &Handle,
    request: impl Future<Output = Answer> + Send,
) -> PyResult<Bound<'py, PyBytes>> {
    let mut request = Box::pin(guarded(request));
    loop {
        let ended = py
            .detach(|| handle.block_on(async { tokio::time::timeout(SIGNAL_INTERVAL, &mut request).await }));
        match ended {
            Ok(Ok(json)) => return Ok(PyBytes::new(py, &json)),
            Ok(Err(Failure(json))) => return Err(Failed::new_err(PyBytes::new(py, &json).unbind())),
            Err(_) => {
                if let Err(interrupted) = py.check_signals() {
                    // Dropped without the lock: the request may hold a connection that is returned.
                    py.detach(move || drop(request));
                    return Err(interrupted);
                }
            }
        }
    }
}

/// Request that an event loop waits for.
#[pyclass(frozen, module = "sutazai._sutazai")]
#[derive(Debug)]
pub(crate) struct Pending {
    abort: tokio::task::AbortHandle,
}

#[pymethods]
impl Pending {
    /// Drops the request, unless it has ended. Its outcome is then never announced.
    fn abort(&self) {
        self.abort.abort();
    }
}

/// Begins a request whose outcome is announced in `queue` under this token.
pub(crate) fn begin(
    handle: &Handle,
    queue: &Queue,
    token: u64,
    request: impl Future<Output = Answer> + Send + 'static,
) -> Pending {
    let sender = queue.sender();
    let task = handle.spawn(async move {
        let outcome = guarded(request).await;
        // A queue that is closed belongs to an event loop that has ended.
        sender.push(Item::Ended { token, outcome });
    });
    Pending { abort: task.abort_handle() }
}

/// Engine in this process, or a server. Every method may be called from any thread.
#[pyclass(frozen, module = "sutazai._sutazai")]
#[derive(Debug)]
pub(crate) struct Core {
    target: Option<Target>,
    handle: Handle,
    process: Process,
}

impl Core {
    /// Opens an engine with these parts of a test and waits for it.
    ///
    /// # Errors
    /// Those of [`Local::open`].
    pub(crate) fn with_parts(
        py: Python<'_>,
        options: &[u8],
        queues: Queues,
        test: TestParts,
    ) -> PyResult<Self> {
        let handle = started()?;
        let mut opened = None;
        wait(py, &handle, async {
            opened = Some(Local::open(options, queues, test).await?);
            Ok(Vec::new())
        })?;
        Ok(Self {
            target: opened.map(|local| Target::Engine(Arc::new(local))),
            handle,
            process: Process::this(),
        })
    }

    fn target(&self) -> PyResult<Target> {
        self.process.check()?;
        let unopened = || PyRuntimeError::new_err("this engine did not open");
        self.target.clone().ok_or_else(unopened)
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if !self.process.is_this() {
            // Its locks may be held by threads that do not exist in this process.
            std::mem::forget(self.target.take());
        }
    }
}

#[pymethods]
impl Core {
    /// Opens an engine with these options, given as JSON, and waits for it.
    #[staticmethod]
    #[pyo3(signature = (options, threads, watcher, ports, listings, event_loop = None))]
    fn open(
        py: Python<'_>,
        options: Vec<u8>,
        threads: &Queue,
        watcher: &Queue,
        ports: &Queue,
        listings: &Queue,
        event_loop: Option<&Queue>,
    ) -> PyResult<Self> {
        let queues = Queues {
            agents: AgentQueues::new(threads, watcher, event_loop),
            ports: PortQueues::new(ports, listings, event_loop),
        };
        Self::with_parts(py, &options, queues, TestParts::default())
    }

    /// Returns the same engine for the requests of this user.
    fn as_user(&self, user_id: &str, is_admin: bool) -> PyResult<Self> {
        let expected = || PyValueError::new_err(format!("user_id: expected a UUID, got {user_id:?}"));
        let id = user_id.parse().map_err(|_| expected())?;
        let role = if is_admin { UserRole::Admin } else { UserRole::User };
        let local = match self.target()? {
            Target::Engine(local) => local.of(Caller::User { id, role }),
            Target::Server(_) => {
                return Err(PyValueError::new_err("a server knows its users by their sign-in"));
            }
        };
        Ok(Self {
            target: Some(Target::Engine(Arc::new(local))),
            handle: self.handle.clone(),
            process: self.process,
        })
    }

    /// Connects to a server with these options, given as JSON, and waits for the sign-in if they have one.
    #[staticmethod]
    fn connect(py: Python<'_>, options: Vec<u8>) -> PyResult<Self> {
        let handle = started()?;
        let mut connected = None;
        wait(py, &handle, async {
            connected = Some(Remote::connect(&options).await?);
            Ok(Vec::new())
        })?;
        let target = connected.map(|remote| Target::Server(Arc::new(remote)));
        Ok(Self { target, handle, process: Process::this() })
    }

    /// Makes a request and waits for its answer without the interpreter lock.
    fn call<'py>(&self, py: Python<'py>, verb: &str, body: Vec<u8>) -> PyResult<Bound<'py, PyBytes>> {
        let target = self.target()?;
        wait(py, &self.handle, async move { target.run(verb, &body).await })
    }

    /// Begins a request whose outcome is announced in `queue` under this token.
    fn begin(&self, queue: &Queue, token: u64, verb: String, body: Vec<u8>) -> PyResult<Pending> {
        let target = self.target()?;
        Ok(begin(&self.handle, queue, token, async move { target.run(&verb, &body).await }))
    }

    /// Returns the stream of this request, which begins with the first read.
    fn stream(&self, verb: String, body: Vec<u8>) -> PyResult<Stream> {
        Ok(Stream::new(self.target()?, self.handle.clone(), self.process, verb, body))
    }

    /// Shuts the engine down and waits for it: running agents get `grace` seconds to end.
    #[pyo3(signature = (grace = None))]
    fn close(&self, py: Python<'_>, grace: Option<f64>) -> PyResult<()> {
        let target = self.target()?;
        wait(py, &self.handle, async move {
            target.close(grace).await?;
            Ok(Vec::new())
        })
        .map(|_| ())
    }

    /// Begins the shutdown of the engine, whose outcome is announced in `queue` under this token.
    #[pyo3(signature = (queue, token, grace = None))]
    fn begin_close(&self, queue: &Queue, token: u64, grace: Option<f64>) -> PyResult<Pending> {
        let target = self.target()?;
        Ok(begin(&self.handle, queue, token, async move {
            target.close(grace).await?;
            Ok(Vec::new())
        }))
    }
}

/// Returns the runtime of this process.
pub(crate) fn started() -> PyResult<Handle> {
    runtime::handle().map_err(|e| PyRuntimeError::new_err(e.to_string()))
}
