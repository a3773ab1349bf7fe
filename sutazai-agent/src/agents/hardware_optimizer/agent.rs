//! Hardware-optimizer as an agent: runs the analysis as a task.

use async_trait::async_trait;
use serde_json::{Value, json};
use sutazai_core::domain::{AgentDescriptor, Analysis, Permission, Step};
use sutazai_core::ports::{Agent, AgentContext};
use sutazai_core::typed_agent::output_schema;
use sutazai_core::{Error, Result};

use super::analysis::analyze;
use super::rules;
use super::writer::uses_model;

/// Agent that measures the machine and recommends what to do.
///
/// Its payload is `{"use_model": bool}`, true by default; its result is an
/// [`Analysis`].
#[derive(Debug, Clone, Copy, Default)]
pub struct HardwareOptimizer;

#[async_trait]
impl Agent for HardwareOptimizer {
    fn descriptor(&self) -> AgentDescriptor {
        let does = "Measures this machine, finds what is past its bounds and recommends what to do about it.";
        AgentDescriptor::new("hardware-optimizer", does)
            .capabilities(["measure_hardware", "recommend_optimizations"])
            .input_schema(json!({
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
            }))
            .output_schema(output_schema::<Analysis>())
            .rules(rules::descriptors())
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
