//! Queue from the runtime to Python: one for each event loop, and one for each kind of threads: those of agents, their
//! watcher, those of model backends and metric sources.
//!
//! The runtime only pushes. Python fetches: a thread blocks in [`Queue::next`], an event loop watches the descriptor and
//! calls [`Queue::drain`]. So no thread of the runtime ever attaches to the interpreter.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use rustix::event::{EventfdFlags, eventfd};
use sutazai::external::CancellationToken;

use crate::agent_call::{AgentCall, Call};
use crate::failure::Failure;
use crate::port_call::{PortCall, PythonPortCall};
use crate::verbs::Answer;

/// Message from the runtime to Python.
#[derive(Debug)]
pub(crate) enum Item {
    /// A request has ended; a tuple of its token, whether it succeeded, and its JSON.
    Ended { token: u64, outcome: Answer },
    /// An agent is to run; a [`Call`].
    Call(Arc<AgentCall>),
    /// An object is to run a method; a [`PythonPortCall`].
    Port(Arc<PortCall>),
    /// The agent or object of the call with this number is to stop; its number.
    Stop(u64),
    /// The engine no longer waits for the call with this number; the negated number.
    Abandoned(u64),
    /// A log record was written; its JSON.
    Record(Vec<u8>),
}

#[derive(Debug)]
struct State {
    items: VecDeque<Item>,
    is_closed: bool,
}

/// Sending half of a [`Queue`].
#[derive(Debug)]
pub(crate) struct Sender {
    state: Mutex<State>,
    arrived: Condvar,
    descriptor: OwnedFd,
    closed: CancellationToken,
}

impl Sender {
    fn new() -> std::io::Result<Self> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let state = State { items: VecDeque::new(), is_closed: false };
        Ok(Self {
            state: Mutex::new(state),
            arrived: Condvar::new(),
            descriptor,
            closed: CancellationToken::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock is safe to use: every change is a single push, pop or assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends an item; returns whether the queue is open and takes it.
    pub(crate) fn push(&self, item: Item) -> bool {
        self.push_unless_full(item, usize::MAX)
    }

    /// Appends an item unless this number of items is unread; returns whether the queue takes it.
    pub(crate) fn push_unless_full(&self, item: Item, capacity: usize) -> bool {
        let mut state = self.lock();
        if state.is_closed || state.items.len() >= capacity {
            return false;
        }
        let was_empty = state.items.is_empty();
        state.items.push_back(item);
        drop(state);
        // Readers take all items of a queue that is not empty, so only the first needs a system call.
        if was_empty {
            self.wake();
        }
        self.arrived.notify_one();
        true
    }

    /// Waits until the queue is closed.
    pub(crate) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    fn wake(&self) {
        // Fails only if the counter is full, and then the reader is awake.
        let _ = rustix::io::write(&self.descriptor, &1_u64.to_ne_bytes());
    }

    fn pop(&self) -> Option<Item> {
        self.lock().items.pop_front()
    }

    /// Waits for the next item; `None` once the queue is closed.
    fn wait(&self) -> Option<Item> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                return Some(item);
            }
            if state.is_closed {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn take(&self, limit: usize) -> Vec<Item> {
        // Reset before the items are taken: an item that arrives meanwhile sets it again.
        let _ = rustix::io::read(&self.descriptor, &mut [0_u8; 8]);
        let mut state = self.lock();
        let count = limit.min(state.items.len());
        let taken = state.items.drain(..count).collect();
        if !state.items.is_empty() {
            drop(state);
            self.wake();
        }
        taken
    }

    fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let unread = std::mem::take(&mut state.items);
        drop(state);
        self.closed.cancel();
        self.arrived.notify_all();
        for item in unread {
            match item {
                Item::Call(call) => call.refuse(),
                Item::Port(call) => call.refuse(),
                Item::Ended { .. } | Item::Stop(_) | Item::Abandoned(_) | Item::Record(_) => {}
            }
        }
    }
}

/// Receiving half, for one event loop or a set of threads.
#[pyclass(frozen, module = "sutazai._sutazai")]
#[derive(Debug)]
pub(crate) struct Queue {
    sender: Arc<Sender>,
}

impl Queue {
    /// Returns the half to which the runtime pushes.
    pub(crate) fn sender(&self) -> Arc<Sender> {
        self.sender.clone()
    }
}

#[pymethods]
impl Queue {
    #[new]
    fn new() -> PyResult<Self> {
        let sender = Sender::new().map_err(|e| PyOSError::new_err(e.to_string()))?;
        Ok(Self { sender: Arc::new(sender) })
    }

    /// Returns the descriptor that is readable while there are items.
    fn fileno(&self) -> i32 {
        self.sender.descriptor.as_raw_fd()
    }

    /// Returns at most `limit` items without waiting.
    fn drain<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyList>> {
        let items = self.sender.take(limit).into_iter().map(|item| into_python(py, item));
        PyList::new(py, items.collect::<PyResult<Vec<_>>>()?)
    }

    /// Returns the next item; waits for it without the interpreter lock. `None` once the queue is closed.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        // A thread that finds an item keeps the lock: it goes from task to task without a switch.
        let item = self.sender.pop().or_else(|| py.detach(|| self.sender.wait()));
        item.map(|item| into_python(py, item)).transpose()
    }

    /// Closes the queue: its readers end, and its unread calls fail.
    fn close(&self) {
        self.sender.close();
    }
}

fn into_python(py: Python<'_>, item: Item) -> PyResult<Py<PyAny>> {
    match item {
        Item::Ended { token, outcome } => {
            let (is_good, json) = match &outcome {
                Ok(json) => (true, json),
                Err(Failure(json)) => (false, json),
            };
            (token, is_good, PyBytes::new(py, json)).into_py_any(py)
        }
        Item::Call(call) => Call::new(call).into_py_any(py),
        Item::Port(call) => PythonPortCall::new(call).into_py_any(py),
        Item::Stop(number) => number.into_py_any(py),
        Item::Abandoned(number) => (-number.cast_signed()).into_py_any(py),
        Item::Record(json) => PyBytes::new(py, &json).into_py_any(py),
    }
}
