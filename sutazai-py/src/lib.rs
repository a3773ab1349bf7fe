//! The Python package: a thin adapter around the facade, configured by the same environment variables.

use std::sync::Arc;

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pythonize::pythonize;
use sutazai::agent::agents::hardware_optimizer;
use sutazai::config::Config;
use sutazai::domain::{Analysis, NewEvent};
use sutazai::ports::EventSink;
use sutazai::{Result, setup};

create_exception!(
    _sutazai,
    SutazaiError,
    PyException,
    "Something went wrong; the message says what and where."
);

/// Events go nowhere: the call gives its result at the end.
#[derive(Debug)]
struct Unheard;

impl EventSink for Unheard {
    fn emit(&self, _: NewEvent) {}
}

async fn analyze_machine(use_model: bool) -> Result<Analysis> {
    let config = Config::from_env()?;
    let context = setup::analysis_context(&config, use_model, Arc::new(Unheard)).await?;
    let analysis = hardware_optimizer::analyze(&context).await?;
    setup::remember(context.metric_store.as_deref(), &analysis.metrics).await;
    Ok(analysis)
}

/// Looks at this machine and gives metrics, findings and recommendations as a dict.
#[pyfunction]
#[pyo3(signature = (*, use_model = true))]
fn analyze(py: Python<'_>, use_model: bool) -> PyResult<Bound<'_, PyAny>> {
    let analysis = py
        .detach(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            Ok::<_, std::io::Error>(runtime.block_on(analyze_machine(use_model)))
        })?
        .map_err(|e| SutazaiError::new_err(e.to_string()))?;
    Ok(pythonize(py, &analysis)?)
}

#[pymodule]
fn _sutazai(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("SutazaiError", module.py().get_type::<SutazaiError>())?;
    module.add_function(wrap_pyfunction!(analyze, module)?)
}
