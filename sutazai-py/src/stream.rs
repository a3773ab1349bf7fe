//! Streams from the engine to Python, such as the answer of a model: opened by the first read, ended by the last owner.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::Value;
use sutazai::external::futures::stream::{BoxStream, ReadyChunks};
use sutazai::external::futures::{StreamExt, TryFutureExt};
use sutazai::{Error, Result};
use tokio::runtime::Handle;
use tokio::sync::Mutex as AsyncMutex;

use crate::bridge::{Pending, begin, wait};
use crate::queue::Queue;
use crate::runtime::Process;
use crate::target::Target;
use crate::verbs::{self, Answer};

/// Maximum number of items in one answer.
const MAX_ITEMS: usize = 64;

/// Items of a stream, as JSON.
pub(crate) type Items = BoxStream<'static, Result<Value>>;

/// State of a stream between two reads.
struct Reader {
    target: Target,
    chunks: ReadyChunks<Items>,
    /// Error behind items that were returned already.
    failed: Option<Error>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl Reader {
    /// Waits for the next items and returns all that are there; none after the last.
    async fn next(&mut self) -> Answer {
        let target = self.target.clone();
        tokio::select! {
            biased;
            items = self.items() => items,
            () = target.closed().cancelled() => Err(target.failure()),
        }
    }

    async fn items(&mut self) -> Answer {
        if let Some(e) = self.failed.take() {
            return Err(e.into());
        }
        let mut items = Vec::new();
        for item in self.chunks.next().await.unwrap_or_default() {
            match item {
                Ok(item) => items.push(item),
                Err(e) if items.is_empty() => return Err(e.into()),
                Err(e) => {
                    self.failed = Some(e);
                    break;
                }
            }
        }
        verbs::answer(&items)
    }
}

/// Stream of JSON values. Dropping it ends the work behind it, such as that of a model.
#[pyclass(frozen, module = "sutazai._sutazai")]
#[derive(Debug)]
pub(crate) struct Stream {
    reader: Mutex<Option<Arc<AsyncMutex<Reader>>>>,
    handle: Handle,
    process: Process,
}

impl Stream {
    /// Creates the stream of this request, which begins with the first read.
    pub(crate) fn new(target: Target, handle: Handle, process: Process, verb: String, body: Vec<u8>) -> Self {
        let opener = target.clone();
        let opening = async move { opener.open_stream(&verb, &body).await };
        let chunks = opening.try_flatten_stream().boxed().ready_chunks(MAX_ITEMS);
        let reader = Arc::new(AsyncMutex::new(Reader { target, chunks, failed: None }));
        Self { reader: Mutex::new(Some(reader)), handle, process }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<AsyncMutex<Reader>>>> {
        // A poisoned lock is safe to use: the only change is a single assignment.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the request for the next items.
    fn reading(&self) -> PyResult<impl Future<Output = Answer> + Send + use<>> {
        self.process.check()?;
        let reader = self.lock().clone();
        Ok(async move {
            match reader {
                Some(reader) => reader.lock().await.next().await,
                None => verbs::answer(&Value::Array(Vec::new())),
            }
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let reader = self.lock().take();
        if self.process.is_this() {
            // What ends the work behind the stream may be spawned.
            let _runtime = self.handle.enter();
            drop(reader);
        } else {
            std::mem::forget(reader);
        }
    }
}

#[pymethods]
impl Stream {
    /// Waits for the next items, without the interpreter lock, and returns them as a JSON array; empty after the last.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        wait(py, &self.handle, self.reading()?)
    }

    /// Begins the wait for the next items, which are announced in `queue` under this token.
    fn begin_next(&self, queue: &Queue, token: u64) -> PyResult<Pending> {
        Ok(begin(&self.handle, queue, token, self.reading()?))
    }

    /// Ends the stream; later reads return no items.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.process.check()?;
        let reader = self.lock().take();
        py.detach(|| {
            let _runtime = self.handle.enter();
            drop(reader);
        });
        Ok(())
    }
}
