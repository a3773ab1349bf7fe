//! Metric sources in Python: each measurement is a call that Python fetches from a queue.

use serde::Deserialize;
use serde_json::Value;
use sutazai::domain::SnapshotPart;
use sutazai::external::async_trait;
use sutazai::ports::MetricSource;
use sutazai::{Error, Result};

use crate::port_call::{Method, PortQueues, PythonObject};

/// Declaration of a metric source, as Python sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct SourceDeclaration {
    object: usize,
    name: String,
    is_async: bool,
}

/// Metric source that runs in Python.
#[derive(Debug)]
pub(crate) struct PythonMetricSource {
    name: String,
    object: PythonObject,
}

impl PythonMetricSource {
    /// Creates the source of this declaration.
    ///
    /// # Errors
    /// `InvalidInput` if its coroutines have no event loop to run in.
    pub(crate) fn new(declaration: SourceDeclaration, queues: &PortQueues) -> Result<Self> {
        let object = PythonObject::new(declaration.object, declaration.is_async, queues)?;
        Ok(Self { name: declaration.name, object })
    }
}

#[async_trait]
impl MetricSource for PythonMetricSource {
    fn name(&self) -> &str {
        &self.name
    }

    async fn collect(&self) -> Result<SnapshotPart> {
        let measured = self.object.call(Method::Collect, &Value::Null).await?;
        let invalid = |e| Error::internal(format!("{} returned no valid measurement: {e}", self.name));
        Ok(SnapshotPart::Custom(
            self.name.clone(),
            sutazai_bodies::exact_json::from_slice(&measured).map_err(invalid)?,
        ))
    }
}
