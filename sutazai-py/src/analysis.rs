//! Analysis and measurement of this machine without an engine.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::Value;
use sutazai::domain::{Analysis, NewTask, Task};
use sutazai::ports::{AgentContext, Clock, SilentEventSink, SystemClock};
use sutazai::setup::{LocalAnalysis, metric_sources};
use sutazai::{Error, Result};

use crate::bridge::{started, wait};
use crate::local::Options;

async fn analyzed(options: &[u8], use_model: bool) -> Result<Analysis> {
    let config = Options::read(options)?.config()?;
    LocalAnalysis::open(&config, use_model, Arc::new(SilentEventSink)).await?.run().await
}

/// Analyzes this machine and returns the report as JSON.
#[pyfunction]
pub(crate) fn analyze(py: Python<'_>, options: Vec<u8>, use_model: bool) -> PyResult<Bound<'_, PyBytes>> {
    wait(py, &started()?, async move {
        let analysis = analyzed(&options, use_model).await?;
        Ok(serde_json::to_vec(&analysis).map_err(Error::json)?)
    })
}

/// Measures this machine with every built-in source and returns the snapshot as JSON.
#[pyfunction]
pub(crate) fn snapshot(py: Python<'_>) -> PyResult<Bound<'_, PyBytes>> {
    wait(py, &started()?, async {
        let new = NewTask::new("snapshot", Value::Null);
        let task = Task::pending(new, None, None, SystemClock.now());
        let mut context = AgentContext::new(task, Arc::new(SystemClock), Arc::new(SilentEventSink));
        context.metric_sources = metric_sources();
        let snapshot = context.snapshot().await;
        Ok(serde_json::to_vec(&snapshot).map_err(Error::json)?)
    })
}
