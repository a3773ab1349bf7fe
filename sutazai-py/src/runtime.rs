//! Tokio runtime of the process: created with the first engine, ended at exit, abandoned by a fork.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use pyo3::PyResult;
use sutazai::{Error, Result};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::bridge::ForkedError;

/// Maximum number of threads of the runtime: its work is short, and agents run on threads of Python.
const MAX_THREADS: usize = 4;

static GENERATION: AtomicU64 = AtomicU64::new(0);
/// Locked only while attached to the interpreter and never across a detach, so that no other thread can hold it during a
/// fork, which a Python thread requests.
static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);

/// Process that made an object whose locks and threads no fork of it can use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    generation: u64,
    id: u32,
}

impl Process {
    /// Returns the process that runs now.
    pub(crate) fn this() -> Self {
        Self { generation: GENERATION.load(Ordering::Relaxed), id: std::process::id() }
    }

    /// Indicates that the process runs now, and not a fork of it.
    pub(crate) fn is_this(self) -> bool {
        self.generation == GENERATION.load(Ordering::Relaxed)
    }

    /// Refuses the use of an object in a fork of its process.
    ///
    /// # Errors
    /// `ForkedError` naming the process.
    pub(crate) fn check(self) -> PyResult<()> {
        if self.is_this() {
            return Ok(());
        }
        let message =
            format!("this engine or client was opened in process {}; open one in this process", self.id);
        Err(ForkedError::new_err(message))
    }
}

/// Counts a fork in the child, whose copy of the runtime has no threads and can never be ended.
pub(crate) fn forked() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    std::mem::forget(RUNTIME.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// Returns the runtime of this process, and creates it if there is none.
///
/// # Errors
/// Those of the operating system if a thread or a descriptor cannot be had.
pub(crate) fn handle() -> Result<Handle> {
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = &*runtime {
        return Ok(runtime.handle().clone());
    }
    let number = AtomicUsize::new(1);
    let created = Builder::new_multi_thread()
        .worker_threads(available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS))
        .thread_name_fn(move || format!("sutazai-{}", number.fetch_add(1, Ordering::Relaxed)))
        .enable_all()
        .build()
        .map_err(Error::from)?;
    let handle = created.handle().clone();
    *runtime = Some(created);
    Ok(handle)
}

/// Removes the runtime of this process, which the caller then [ends](end).
pub(crate) fn take() -> Option<Runtime> {
    RUNTIME.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Ends a runtime. A call to a device or mount that never returns is abandoned after `limit`.
pub(crate) fn end(runtime: Runtime, limit: Duration) {
    runtime.shutdown_timeout(limit);
}
