//! Engines with a scripted model, and the conformance suite of the agent port, for tests of agents in Python.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::Deserialize;
use sutazai::Error;
use sutazai::testing::{self, ScriptedAnswer, ScriptedModelBackend};

use crate::agent::{AgentQueues, Declaration, PythonAgent};
use crate::bridge::{Core, started, wait};
use crate::failure::AgentFailure;
use crate::queue::Queue;

/// Runs the suite over the agent of this declaration with this payload, both given as JSON.
#[pyfunction]
#[pyo3(signature = (declaration, payload, threads, watcher, event_loop = None))]
pub(crate) fn check_agent(
    py: Python<'_>,
    declaration: Vec<u8>,
    payload: Vec<u8>,
    threads: &Queue,
    watcher: &Queue,
    event_loop: Option<&Queue>,
) -> PyResult<()> {
    let queues = AgentQueues::new(threads, watcher, event_loop);
    wait(py, &started()?, async move {
        let read = |e: serde_json::Error| Error::invalid("agent", e.to_string());
        let declaration: Declaration = serde_json::from_slice(&declaration).map_err(read)?;
        let payload = serde_json::from_slice(&payload).map_err(read)?;
        let agent = Arc::new(PythonAgent::new(declaration, &queues)?);
        testing::agent::run_all(agent, payload).await;
        Ok(Vec::new())
    })
    .map(|_| ())
}

/// Answer of a script: a text or an error.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Scripted {
    Text(String),
    Error(AgentFailure),
}

impl From<Scripted> for ScriptedAnswer {
    fn from(answer: Scripted) -> Self {
        match answer {
            Scripted::Text(text) => Self::Text(text),
            Scripted::Error(failure) => Self::Error(failure.into()),
        }
    }
}

/// Model that returns scripted answers in order.
#[pyclass(frozen, module = "sutazai._sutazai")]
#[derive(Debug)]
pub(crate) struct ScriptedModel {
    backend: Arc<ScriptedModelBackend>,
}

#[pymethods]
impl ScriptedModel {
    /// Creates a model with these answers, a JSON array of texts and errors.
    #[new]
    fn new(answers: &[u8]) -> PyResult<Self> {
        let answers: Vec<Scripted> = serde_json::from_slice(answers).map_err(invalid)?;
        Ok(Self { backend: Arc::new(ScriptedModelBackend::new(answers)) })
    }

    /// Returns the requests so far, as a JSON array.
    fn requests<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &serde_json::to_vec(&self.backend.requests()).map_err(invalid)?))
    }

    /// Opens an engine that has this model, with these options, given as JSON, and waits for it.
    #[pyo3(signature = (options, threads, watcher, event_loop = None))]
    fn open(
        &self,
        py: Python<'_>,
        options: Vec<u8>,
        threads: &Queue,
        watcher: &Queue,
        event_loop: Option<&Queue>,
    ) -> PyResult<Core> {
        let queues = AgentQueues::new(threads, watcher, event_loop);
        Core::with_model(py, &options, queues, Some(self.backend.clone()))
    }
}

fn invalid(e: serde_json::Error) -> PyErr {
    PyValueError::new_err(e.to_string())
}
