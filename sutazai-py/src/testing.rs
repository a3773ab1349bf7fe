//! Parts of engines in tests, and the conformance suites of ports over objects in Python.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sutazai::external::chrono::{DateTime, Utc};
use sutazai::ports::{Clock, MetricSource, ModelBackend};
use sutazai::testing::{self, ScriptedAnswer, ScriptedModelBackend};
use sutazai::{Error, ErrorKind, Result};

use crate::agent::{AgentQueues, Declaration, PythonAgent};
use crate::bridge::{Core, started, wait};
use crate::failure::AgentFailure;
use crate::local::{Queues, TestParts, seconds};
use crate::metric_source::{PythonMetricSource, SourceDeclaration};
use crate::model_backend::{BackendDeclaration, PythonModelBackend, request_json};
use crate::port_call::PortQueues;
use crate::queue::Queue;

/// Adds what tests use to the module.
pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ScriptedModel>()?;
    module.add_class::<ManualClock>()?;
    module.add_class::<TestOpener>()?;
    module.add_function(wrap_pyfunction!(check_agent, module)?)?;
    module.add_function(wrap_pyfunction!(check_model_backend, module)?)?;
    module.add_function(wrap_pyfunction!(check_metric_source, module)?)
}

/// Reads the declaration of an object.
fn declaration<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|e| Error::invalid("declaration", e.to_string()))
}

/// Runs the suite over the agent of this declaration with this payload, both given as JSON.
#[pyfunction]
#[pyo3(signature = (agent, payload, threads, watcher, event_loop = None))]
fn check_agent(
    py: Python<'_>,
    agent: Vec<u8>,
    payload: Vec<u8>,
    threads: &Queue,
    watcher: &Queue,
    event_loop: Option<&Queue>,
) -> PyResult<()> {
    let queues = AgentQueues::new(threads, watcher, event_loop);
    wait(py, &started()?, async move {
        let agent: Declaration = declaration(&agent)?;
        let payload = declaration(&payload)?;
        let agent = Arc::new(PythonAgent::new(agent, &queues)?);
        testing::agent::run_all(agent, payload).await;
        Ok(Vec::new())
    })
    .map(|_| ())
}

/// Runs the suites over the model backends of these declarations, a JSON array: the checks use them in turns.
#[pyfunction]
#[pyo3(signature = (backends, threads, listings, event_loop = None))]
fn check_model_backend(
    py: Python<'_>,
    backends: Vec<u8>,
    threads: &Queue,
    listings: &Queue,
    event_loop: Option<&Queue>,
) -> PyResult<()> {
    let queues = PortQueues::new(threads, listings, event_loop);
    wait(py, &started()?, async move {
        let declarations: Vec<BackendDeclaration> = declaration(&backends)?;
        let is_any = |has: fn(&BackendDeclaration) -> bool| declarations.iter().any(has);
        let (writes, embeds) = (is_any(BackendDeclaration::writes), is_any(BackendDeclaration::embeds));
        let backends = declarations
            .into_iter()
            .map(|declaration| Ok(Arc::new(PythonModelBackend::new(declaration, &queues)?)))
            .collect::<Result<Vec<Arc<PythonModelBackend>>>>()?;
        let next = AtomicUsize::new(0);
        let make = || {
            let backend = backends[next.fetch_add(1, Ordering::Relaxed) % backends.len()].clone();
            std::future::ready(backend as Arc<dyn ModelBackend>)
        };
        if writes {
            testing::model_backend::run_all(&make).await;
        }
        if embeds {
            testing::model_backend::run_embeddings(&make).await;
        }
        Ok(Vec::new())
    })
    .map(|_| ())
}

/// Runs the suite over the metric source of this declaration, given as JSON.
#[pyfunction]
#[pyo3(signature = (source, threads, listings, event_loop = None))]
fn check_metric_source(
    py: Python<'_>,
    source: Vec<u8>,
    threads: &Queue,
    listings: &Queue,
    event_loop: Option<&Queue>,
) -> PyResult<()> {
    let queues = PortQueues::new(threads, listings, event_loop);
    wait(py, &started()?, async move {
        let source: SourceDeclaration = declaration(&source)?;
        let source = Arc::new(PythonMetricSource::new(source, &queues)?);
        match source.collect().await {
            Err(e) if e.kind() == ErrorKind::Unavailable => {
                testing::metric_source::nothing_to_measure_is_unavailable(source).await;
            }
            _ => testing::metric_source::run_all(source).await,
        }
        Ok(Vec::new())
    })
    .map(|_| ())
}

/// Clock that stands still until it is advanced.
#[pyclass(frozen, module = "sutazai._sutazai")]
#[derive(Debug)]
struct ManualClock {
    clock: Arc<testing::ManualClock>,
}

#[pymethods]
impl ManualClock {
    /// Creates a clock at this time, in RFC 3339.
    #[new]
    fn new(start: &str) -> PyResult<Self> {
        let start: DateTime<Utc> =
            start.parse().map_err(|e| PyValueError::new_err(format!("start: expected a time: {e}")))?;
        Ok(Self { clock: Arc::new(testing::ManualClock::starting_at(start)) })
    }

    /// Returns the time of the clock, in RFC 3339.
    fn now(&self) -> String {
        self.clock.now().to_rfc3339()
    }

    /// Advances the clock and wakes the sleepers that are due.
    fn advance(&self, by: f64) -> PyResult<()> {
        let by = seconds(by).map_err(|e| PyValueError::new_err(e.message().to_owned()))?;
        self.clock.advance(by);
        Ok(())
    }

    /// Advances the clock to the next sleeper and returns by how many seconds; `None` if nobody sleeps.
    fn advance_to_next(&self) -> Option<f64> {
        self.clock.advance_to_next().map(|by| by.as_secs_f64())
    }
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
struct ScriptedModel {
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
        let requests = self.backend.requests();
        let requests = requests.iter().map(|request| request_json(request).map_err(failed));
        let requests = requests.collect::<PyResult<Vec<_>>>()?;
        Ok(PyBytes::new(py, &serde_json::to_vec(&requests).map_err(invalid)?))
    }
}

/// Opens engines with parts of a test.
#[pyclass(frozen, module = "sutazai._sutazai")]
#[derive(Debug)]
struct TestOpener {
    model: Option<Arc<ScriptedModelBackend>>,
    clock: Option<Arc<testing::ManualClock>>,
}

#[pymethods]
impl TestOpener {
    /// Creates the opener of engines with this model and this clock.
    #[new]
    #[pyo3(signature = (model, clock))]
    fn new(model: Option<&ScriptedModel>, clock: Option<&ManualClock>) -> Self {
        Self {
            model: model.map(|model| model.backend.clone()),
            clock: clock.map(|clock| clock.clock.clone()),
        }
    }

    /// Opens an engine with these options, given as JSON, and waits for it.
    #[pyo3(signature = (options, threads, watcher, ports, listings, event_loop = None))]
    #[allow(clippy::too_many_arguments)] // one queue for each kind of thread
    fn open(
        &self,
        py: Python<'_>,
        options: Vec<u8>,
        threads: &Queue,
        watcher: &Queue,
        ports: &Queue,
        listings: &Queue,
        event_loop: Option<&Queue>,
    ) -> PyResult<Core> {
        let queues = Queues {
            agents: AgentQueues::new(threads, watcher, event_loop),
            ports: PortQueues::new(ports, listings, event_loop),
        };
        let test = TestParts { model: self.model.clone().map(|model| model as _), clock: self.clock.clone() };
        Core::with_parts(py, &options, queues, test)
    }
}

fn failed(e: Error) -> PyErr {
    PyValueError::new_err(e.message().to_owned())
}

fn invalid(e: serde_json::Error) -> PyErr {
    PyValueError::new_err(e.to_string())
}
