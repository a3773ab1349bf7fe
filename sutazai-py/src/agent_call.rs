//! One run of an agent in Python: its inputs, what it reports, and its outcome.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::Deserialize;
use serde_json::Value;
use sutazai::domain::{NewTask, Step, Task, TraceContext, WaitUntil};
use sutazai::ports::AgentContext;
use sutazai::{Error, Result};
use tokio::sync::oneshot;

use crate::bridge::{Pending, begin, started, wait};
use crate::failure::AgentFailure;
use crate::local;
use crate::queue::Queue;
use crate::verbs::Answer;

static NUMBER: AtomicU64 = AtomicU64::new(1);

/// Returns a number that no other call of this process has, whether of an agent or of another object.
pub(crate) fn next_number() -> u64 {
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// Run of an agent that waits for its outcome from Python.
#[derive(Debug)]
pub(crate) struct AgentCall {
    /// Number of the call, unique in this process.
    pub(crate) number: u64,
    /// Context that the engine gave to the agent.
    pub(crate) context: AgentContext,
    outcome: Mutex<Option<oneshot::Sender<Result<Step>>>>,
    is_abandoned: AtomicBool,
}

impl AgentCall {
    /// Creates the call with the receiver of its outcome.
    pub(crate) fn new(context: AgentContext) -> (Arc<Self>, oneshot::Receiver<Result<Step>>) {
        let (sender, receiver) = oneshot::channel();
        let call = Self {
            number: next_number(),
            context,
            outcome: Mutex::new(Some(sender)),
            is_abandoned: AtomicBool::new(false),
        };
        (Arc::new(call), receiver)
    }

    /// Marks that the engine no longer waits for the outcome.
    pub(crate) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
    }

    /// Ends a call that nobody will run.
    pub(crate) fn refuse(&self) {
        self.end(Err(Error::unavailable("the threads or the event loop of the agent have ended")));
    }

    fn end(&self, outcome: Result<Step>) {
        let sender = self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The engine may have stopped waiting; it then records another outcome.
        let _ = sender.map(|sender| sender.send(outcome));
    }
}

/// Calls of agents that use models, by their numbers, for the requests that they make of a model.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunningCalls {
    by_number: Arc<Mutex<HashMap<u64, Arc<AgentCall>>>>,
}

impl RunningCalls {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<AgentCall>>> {
        // A poisoned lock is safe to use: every change of the map is a single insert or remove.
        self.by_number.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call that begins.
    pub(crate) fn insert(&self, call: Arc<AgentCall>) {
        self.lock().insert(call.number, call);
    }

    /// Removes a call that has ended.
    pub(crate) fn remove(&self, number: u64) {
        self.lock().remove(&number);
    }

    /// Returns the running call with this number.
    ///
    /// # Errors
    /// `Conflict` if the agent has ended.
    pub(crate) fn get(&self, number: u64) -> Result<Arc<AgentCall>> {
        let ended = || {
            Error::conflict("the run of this agent has ended, or its agent was declared without uses_model")
        };
        self.lock().get(&number).cloned().ok_or_else(ended)
    }
}

/// Children that an agent waits for.
#[derive(Debug, Deserialize)]
struct WaitFor {
    children: Vec<NewTask>,
    state: Value,
    any: bool,
}

/// Call as Python sees it.
#[pyclass(frozen, module = "sutazai._sutazai")]
#[derive(Debug)]
pub(crate) struct Call {
    call: Arc<AgentCall>,
}

impl Call {
    pub(crate) fn new(call: Arc<AgentCall>) -> Self {
        Self { call }
    }

    fn task(&self) -> &Task {
        &self.call.context.task
    }

    fn sleeping(&self, seconds: f64) -> impl Future<Output = Answer> + Send + use<> {
        let (clock, stop) = (self.call.context.clock.clone(), self.call.context.cancellation.clone());
        async move {
            let duration = local::seconds(seconds)?;
            stop.run_until_cancelled(clock.sleep(duration)).await;
            Ok(Vec::new())
        }
    }
}

#[pymethods]
impl Call {
    /// Number of the call, unique in this process.
    #[getter]
    fn number(&self) -> u64 {
        self.call.number
    }

    /// Name of the agent to run.
    #[getter]
    fn agent(&self) -> &str {
        &self.task().agent
    }

    /// Id of the task to run.
    #[getter]
    fn task_id(&self) -> String {
        self.task().id.to_string()
    }

    /// Payload of the task, as JSON.
    #[getter]
    fn payload<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        json(py, &self.task().payload)
    }

    /// The whole task, as JSON.
    #[getter(task)]
    fn task_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        json(py, self.task())
    }

    /// Children that the task last waited for, as JSON.
    #[getter]
    fn children<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        json(py, &self.call.context.children)
    }

    /// Span that submitted the task, as the header `traceparent` has it; `None` if there was none.
    #[getter]
    fn traceparent(&self) -> Option<String> {
        self.task().trace.as_ref().filter(|trace| trace.span_id() != 0).map(TraceContext::to_traceparent)
    }

    /// Indicates that the agent is to stop.
    #[getter]
    fn is_cancelled(&self) -> bool {
        self.call.context.cancellation.is_cancelled()
    }

    /// Indicates that the engine no longer waits for the outcome.
    #[getter]
    fn is_abandoned(&self) -> bool {
        self.call.is_abandoned.load(Ordering::Relaxed)
    }

    /// Returns the time of the engine's clock, in RFC 3339.
    fn now(&self) -> String {
        self.call.context.clock.now().to_rfc3339()
    }

    /// Sleeps by the engine's clock without the interpreter lock, but not beyond the time at which the agent is to stop.
    fn sleep(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        wait(py, &started()?, self.sleeping(seconds)).map(|_| ())
    }

    /// Begins such a sleep, whose end is announced in `queue` under this token.
    fn begin_sleep(&self, queue: &Queue, token: u64, seconds: f64) -> PyResult<Pending> {
        Ok(begin(&started()?, queue, token, self.sleeping(seconds)))
    }

    /// Reports progress without waiting.
    fn progress(&self, fraction: f32, message: String) {
        self.call.context.progress(fraction, message);
    }

    /// Reports a piece of text without waiting.
    fn text(&self, text: String) {
        self.call.context.text(text);
    }

    /// Ends the call with this result, as JSON.
    fn finish(&self, result: &[u8]) -> PyResult<()> {
        let result = sutazai_bodies::exact_json::from_slice(result).map_err(invalid)?;
        self.call.end(Ok(Step::Done(result)));
        Ok(())
    }

    /// Ends the call; the agent runs again when these children have ended.
    fn wait_for(&self, children: &[u8]) -> PyResult<()> {
        let WaitFor { children, state, any } =
            sutazai_bodies::exact_json::from_slice(children).map_err(invalid)?;
        let until = if any { WaitUntil::Any } else { WaitUntil::All };
        self.call.end(Ok(Step::Wait { children, state, until }));
        Ok(())
    }

    /// Ends the call with this failure, as JSON.
    fn fail(&self, failure: &[u8]) -> PyResult<()> {
        let failure: AgentFailure = serde_json::from_slice(failure).map_err(invalid)?;
        self.call.end(Err(Error::from(failure)));
        Ok(())
    }
}

fn json<'py>(py: Python<'py>, value: &impl serde::Serialize) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(py, &serde_json::to_vec(value).map_err(invalid)?))
}

fn invalid(e: serde_json::Error) -> PyErr {
    PyValueError::new_err(e.to_string())
}
