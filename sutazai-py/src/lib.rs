//! Python package: a thin adapter around the facade, configured by the same environment variables as the binary.

use std::path::PathBuf;
#[cfg(feature = "llama-cpp-native")]
use std::process::ExitCode;
use std::sync::Arc;

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pythonize::pythonize;
use sutazai::Result;
use sutazai::config::{Config, ModelProgram};
use sutazai::domain::Analysis;
use sutazai::ports::SilentEventSink;
use sutazai::setup::LocalAnalysis;

create_exception!(
    _sutazai,
    SutazaiError,
    PyException,
    "Failure of an analysis; the message names the setting or the service at fault."
);

async fn analyze_machine(use_model: bool, program: ModelProgram) -> Result<Analysis> {
    let mut config = Config::from_env()?;
    config.model_program.get_or_insert(program);
    LocalAnalysis::open(&config, use_model, Arc::new(SilentEventSink)).await?.run().await
}

/// Returns the command that runs a model: this interpreter with the module that calls [`run_model_process`].
///
/// It passes on the module path of this process. An installed package would be found without it, but one that was added
/// to `sys.path` would not.
fn model_program(py: Python<'_>) -> PyResult<ModelProgram> {
    let sys = py.import("sys")?;
    let program: PathBuf = sys.getattr("executable")?.extract()?;
    let path: Vec<String> = sys.getattr("path")?.extract()?;
    Ok(ModelProgram::Command {
        program,
        arguments: ["-m", "sutazai._model_process"].map(str::to_owned).to_vec(),
        environment: vec![("PYTHONPATH".to_owned(), path.join(":"))],
    })
}

/// Runs one model for the process that started this interpreter, until that process ends; returns the exit code.
#[cfg(feature = "llama-cpp-native")]
#[pyfunction]
fn run_model_process(py: Python<'_>) -> u8 {
    py.detach(|| match sutazai::agent::models::run_model_process() {
        code if code == ExitCode::SUCCESS => 0,
        _ => 1,
    })
}

/// Analyzes this machine and returns metrics, findings and recommendations as a dict.
#[pyfunction]
#[pyo3(signature = (*, use_model = true))]
fn analyze(py: Python<'_>, use_model: bool) -> PyResult<Bound<'_, PyAny>> {
    let program = model_program(py)?;
    let analysis = py
        .detach(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let analysis = runtime.block_on(analyze_machine(use_model, program));
            // Do not wait for blocking calls to a device or mount that may never return.
            runtime.shutdown_background();
            Ok::<_, std::io::Error>(analysis)
        })?
        .map_err(|e| SutazaiError::new_err(e.to_string()))?;
    Ok(pythonize(py, &analysis)?)
}

#[pymodule]
fn _sutazai(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("SutazaiError", module.py().get_type::<SutazaiError>())?;
    #[cfg(feature = "llama-cpp-native")]
    module.add_function(wrap_pyfunction!(run_model_process, module)?)?;
    module.add_function(wrap_pyfunction!(analyze, module)?)
}
