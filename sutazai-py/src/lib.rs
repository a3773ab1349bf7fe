//! Native module of the Python package: an engine of the facade behind requests whose bodies and answers are JSON.
//!
//! The runtime never attaches to the interpreter. A thread of Python that waits for a request blocks here without the
//! interpreter lock, an event loop is woken by a descriptor, and agents are fetched from a queue. So no lock of the
//! engine can be held while a thread waits for the interpreter, and nothing runs Python code while the interpreter ends.

mod agent;
mod agent_call;
mod analysis;
mod bridge;
mod ended;
mod failure;
mod local;
mod log;
mod metric_source;
mod model_backend;
mod port_call;
mod queue;
mod remote;
mod runtime;
mod server;
mod stream;
mod target;
#[cfg(feature = "testing")]
mod testing;
mod verbs;
mod watches;

#[cfg(feature = "llama-cpp-native")]
use std::process::ExitCode;
use std::time::Duration;

use pyo3::prelude::*;

/// Runs one model for the process that started this interpreter, until that process ends; returns the exit code.
#[cfg(feature = "llama-cpp-native")]
#[pyfunction]
fn run_model_process(py: Python<'_>) -> u8 {
    py.detach(|| match sutazai::agent::models::run_model_process() {
        code if code == ExitCode::SUCCESS => 0,
        _ => 1,
    })
}

/// Counts a fork in the child process: engines of the parent can no longer be used.
#[pyfunction]
fn forked() {
    runtime::forked();
}

/// Ends the runtime of this process within this many seconds, if it has one.
#[pyfunction]
fn end_runtime(py: Python<'_>, seconds: f64) {
    if let Some(running) = runtime::take() {
        let limit = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        py.detach(|| runtime::end(running, limit));
    }
}

#[pymodule(gil_used = false)]
fn _sutazai(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("IS_DEBUG_BUILD", cfg!(debug_assertions))?;
    module.add("Failed", py.get_type::<bridge::Failed>())?;
    module.add("ForkedError", py.get_type::<bridge::ForkedError>())?;
    module.add_class::<bridge::Core>()?;
    module.add_class::<bridge::Pending>()?;
    module.add_class::<queue::Queue>()?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<agent_call::Call>()?;
    module.add_class::<port_call::PythonPortCall>()?;
    #[cfg(feature = "llama-cpp-native")]
    module.add_function(wrap_pyfunction!(run_model_process, module)?)?;
    #[cfg(feature = "testing")]
    testing::add(module)?;
    module.add_function(wrap_pyfunction!(forked, module)?)?;
    module.add_function(wrap_pyfunction!(log::forward_logs, module)?)?;
    module.add_function(wrap_pyfunction!(log::stop_logs, module)?)?;
    module.add_function(wrap_pyfunction!(end_runtime, module)?)?;
    module.add_function(wrap_pyfunction!(analysis::analyze, module)?)?;
    module.add_function(wrap_pyfunction!(analysis::snapshot, module)?)
}
