//! Hardware-optimizer as an agent: runs the analysis as a task.

use async_trait::async_trait;
use serde_json::{Value, json};
use sutazai_core::domain::{AgentDescriptor, Permission, Step};
use sutazai_core::ports::{Agent, AgentContext};
use sutazai_core::{Error, Result};

use super::analysis::analyze;
use super::writer::uses_model;

/// Agent that measures the machine and recommends what to do.
///
/// Its payload is `{"use_model": bool}`, true by default; its result is an
/// [`Analysis`](sutazai_core::domain::Analysis).
#[derive(Debug, Clone, Copy, Default)]
pub struct HardwareOptimizer;

#[async_trait]
impl Agent for HardwareOptimizer {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor {
            name: "hardware-optimizer".to_owned(),
            description:
                "Measures this machine, finds what is past its bounds and recommends what to do about it."
                    .to_owned(),
            capabilities: vec!["measure_hardware".to_owned(), "recommend_optimizations".to_owned()],
            input_schema: json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "properties": {
                    "use_model": {
                        "type": "boolean",
                        "default": true,
                        "description": "Whether a model writes the recommendations; otherwise they are the rules' own sentences.",
                    },
                },
                "additionalProperties": false,
            }),
        }
    }

    fn permissions(&self, payload: &Value) -> Vec<Permission> {
        let mut needed = vec![Permission::WriteTasks, Permission::ReadMetrics];
        if uses_model(payload) {
            needed.push(Permission::UseModels);
        }
        needed
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        let analysis = analyze(context).await?;
        Ok(Step::Done(serde_json::to_value(analysis).map_err(Error::json)?))
    }
}
