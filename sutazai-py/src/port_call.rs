//! One call of a method of an object in Python, such as a model backend: its input, the pieces that it sends, and its
//! outcome.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::Serialize;
use serde_json::Value;
use sutazai::{Error, Result};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::agent_call::next_number;
use crate::bridge::{Pending, begin, started};
use crate::failure::AgentFailure;
use crate::queue::{Item, Queue, Sender};

/// Number of pieces of an answer that wait for their reader; then the object waits.
const MAX_UNREAD_PIECES: usize = 64;

/// Queues through which Python serves the calls of its objects.
#[derive(Debug, Clone)]
pub(crate) struct PortQueues {
    /// Queue of the threads that run methods of synchronous objects.
    threads: Arc<Sender>,
    /// Queue of the thread that lists models, which the requests in progress must not delay.
    listings: Arc<Sender>,
    /// Queue of the event loop that runs coroutines.
    event_loop: Option<Arc<Sender>>,
}

impl PortQueues {
    /// Returns the sending halves of these queues.
    pub(crate) fn new(threads: &Queue, listings: &Queue, event_loop: Option<&Queue>) -> Self {
        Self {
            threads: threads.sender(),
            listings: listings.sender(),
            event_loop: event_loop.map(Queue::sender),
        }
    }
}

/// Method of an object in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// Lists the models of a backend.
    Models,
    /// Writes the answer of a model.
    Generate,
    /// Computes the embeddings of texts.
    Embed,
    /// Measures the section of a metric source.
    Collect,
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::Generate => "generate",
            Self::Embed => "embed",
            Self::Collect => "collect",
        }
    }
}

/// Object in Python whose methods the engine calls.
#[derive(Debug)]
pub(crate) struct PythonObject {
    /// Index of the object in Python.
    index: usize,
    queues: PortQueues,
    is_async: bool,
}

impl PythonObject {
    /// Creates the object with this index.
    ///
    /// # Errors
    /// `InvalidInput` if its coroutines have no event loop to run in.
    pub(crate) fn new(index: usize, is_async: bool, queues: &PortQueues) -> Result<Self> {
        if is_async && queues.event_loop.is_none() {
            return Err(Error::invalid("models", "an object with coroutines needs an event loop, got none"));
        }
        Ok(Self { index, queues: queues.clone(), is_async })
    }

    /// Begins a call with this input, which is written as JSON.
    ///
    /// # Errors
    /// `Internal` if the input is no JSON.
    pub(crate) fn begin(&self, method: Method, input: &impl Serialize) -> Result<Running> {
        let body = serde_json::to_vec(input).map_err(Error::json)?;
        let (piece_sender, pieces) = mpsc::channel(MAX_UNREAD_PIECES);
        let (outcome_sender, outcome) = oneshot::channel();
        let queue = match (&self.queues.event_loop, method) {
            (Some(event_loop), _) if self.is_async => event_loop,
            (_, Method::Models) => &self.queues.listings,
            _ => &self.queues.threads,
        };
        let call = Arc::new(PortCall {
            number: next_number(),
            object: self.index,
            method,
            body,
            queue: queue.clone(),
            pieces: Mutex::new(Some(piece_sender)),
            outcome: Mutex::new(Some(outcome_sender)),
        });
        let stops = self.is_async.then(|| queue.clone());
        if !queue.push(Item::Port(call.clone())) {
            call.refuse();
        }
        Ok(Running { number: call.number, pieces, outcome, stops })
    }

    /// Makes a call with this input and waits for its result.
    ///
    /// # Errors
    /// That of the method.
    pub(crate) async fn call(&self, method: Method, input: &Value) -> Result<Vec<u8>> {
        self.begin(method, input)?.outcome().await
    }
}

/// Call that its caller waits for. Dropping it stops the method: a coroutine is cancelled, and a thread finds out when it
/// sends the next piece.
#[derive(Debug)]
pub(crate) struct Running {
    number: u64,
    pieces: mpsc::Receiver<String>,
    outcome: oneshot::Receiver<Result<Vec<u8>>>,
    /// Queue through which the coroutine is cancelled; `None` once it has ended.
    stops: Option<Arc<Sender>>,
}

impl Running {
    /// Waits for the next piece; `None` after the last.
    pub(crate) async fn piece(&mut self) -> Option<String> {
        self.pieces.recv().await
    }

    /// Waits for the result behind the pieces.
    ///
    /// # Errors
    /// That of the method.
    pub(crate) async fn outcome(&mut self) -> Result<Vec<u8>> {
        let outcome = (&mut self.outcome).await;
        self.stops = None;
        outcome.unwrap_or_else(|e| Err(Error::internal("the call was dropped").with_source(e)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(stops) = self.stops.take() {
            stops.push(Item::Stop(self.number));
        }
    }
}

/// Call that waits for its outcome from Python.
#[derive(Debug)]
pub(crate) struct PortCall {
    /// Number of the call, unique in this process.
    pub(crate) number: u64,
    object: usize,
    method: Method,
    body: Vec<u8>,
    /// Queue from which Python fetches the call.
    queue: Arc<Sender>,
    pieces: Mutex<Option<mpsc::Sender<String>>>,
    outcome: Mutex<Option<oneshot::Sender<Result<Vec<u8>>>>>,
}

impl PortCall {
    /// Ends a call that nobody will serve.
    pub(crate) fn refuse(&self) {
        self.end(Err(Error::unavailable("the threads or the event loop of the object have ended")));
    }

    fn end(&self, outcome: Result<Vec<u8>>) {
        // The reader sees the end of the pieces first, and waits for the outcome then.
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner).take();
        let sender = self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The caller may have stopped waiting.
        let _ = sender.map(|sender| sender.send(outcome));
    }

    fn piece_sender(&self) -> Option<mpsc::Sender<String>> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_dropped(&self) -> bool {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

/// Call as Python sees it.
#[pyclass(frozen, module = "sutazai._sutazai", name = "PortCall")]
#[derive(Debug)]
pub(crate) struct PythonPortCall {
    call: Arc<PortCall>,
}

impl PythonPortCall {
    pub(crate) fn new(call: Arc<PortCall>) -> Self {
        Self { call }
    }
}

#[pymethods]
impl PythonPortCall {
    /// Number of the call, unique in this process.
    #[getter]
    fn number(&self) -> u64 {
        self.call.number
    }

    /// Index of the object.
    #[getter]
    fn object(&self) -> usize {
        self.call.object
    }

    /// Name of the method.
    #[getter]
    fn method(&self) -> &'static str {
        self.call.method.as_str()
    }

    /// Input of the method, as JSON.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.call.body)
    }

    /// Indicates that nobody waits for the outcome any more.
    #[getter]
    fn is_dropped(&self) -> bool {
        self.call.is_dropped()
    }

    /// Sends a piece, and waits without the interpreter lock while 64 pieces are unread. Returns whether somebody reads;
    /// nobody does after the end of the engine, when this thread must not wait any longer.
    fn send(&self, py: Python<'_>, piece: String) -> PyResult<bool> {
        let Some(sender) = self.call.piece_sender() else { return Ok(false) };
        let piece = match sender.try_send(piece) {
            Ok(()) => return Ok(true),
            Err(TrySendError::Closed(_)) => return Ok(false),
            Err(TrySendError::Full(piece)) => piece,
        };
        let (handle, queue) = (started()?, self.call.queue.clone());
        Ok(py.detach(|| {
            handle.block_on(async {
                tokio::select! {
                    sent = sender.send(piece) => sent.is_ok(),
                    () = queue.closed() => false,
                }
            })
        }))
    }

    /// Sends a piece without waiting. Returns false if 64 pieces are unread.
    fn try_send(&self, piece: String) -> bool {
        let Some(sender) = self.call.piece_sender() else { return true };
        !matches!(sender.try_send(piece), Err(TrySendError::Full(_)))
    }

    /// Begins to send a piece, which is announced in `queue` under this token.
    fn begin_send(&self, queue: &Queue, token: u64, piece: String) -> PyResult<Pending> {
        let sender = self.call.piece_sender();
        Ok(begin(&started()?, queue, token, async move {
            if let Some(sender) = sender {
                // Without a reader the coroutine is cancelled.
                let _ = sender.send(piece).await;
            }
            Ok(Vec::new())
        }))
    }

    /// Ends the call with this result.
    fn finish(&self, result: Vec<u8>) {
        self.call.end(Ok(result));
    }

    /// Ends the call with this failure, as JSON.
    fn fail(&self, failure: &[u8]) {
        let failure = serde_json::from_slice::<AgentFailure>(failure);
        self.call.end(Err(failure.map_or_else(Error::json, Error::from)));
    }
}
