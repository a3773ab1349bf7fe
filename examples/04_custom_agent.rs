//! Defines an agent that reports progress, reads metrics, and delegates parts of its work to child tasks.
//!
//! Run it: `cargo run --example 04_custom_agent`

#![allow(clippy::print_stdout)] // an example prints what it does

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use serde_json::{Value, json};
use sutazai::domain::{AgentDescriptor, Caller, EventKind, NewTask, Permission, Step, Task};
use sutazai::engine::Engine;
use sutazai::memory::MemoryTaskStore;
use sutazai::ports::{Agent, AgentContext};
use sutazai::{Result, agent};

/// Compares two measurements by child tasks. It occupies no worker while they run.
#[derive(Debug)]
struct Compare;

/// Measures the memory in use once.
#[derive(Debug)]
struct Measure;

fn descriptor(name: &str, description: &str) -> AgentDescriptor {
    AgentDescriptor {
        name: name.into(),
        description: description.into(),
        capabilities: vec!["memory".into()],
        input_schema: json!({ "type": "object", "additionalProperties": false }),
    }
}

#[async_trait]
impl Agent for Measure {
    fn descriptor(&self) -> AgentDescriptor {
        descriptor("measure", "Reads how much memory is in use.")
    }

    fn permissions(&self, _: &Value) -> Vec<Permission> {
        vec![Permission::WriteTasks, Permission::ReadMetrics]
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        context.progress(0.5, "measuring");
        let used = context.snapshot().await.host.value().and_then(|host| host.memory.used_bytes);
        Ok(Step::Done(json!({ "used_bytes": used })))
    }
}

#[async_trait]
impl Agent for Compare {
    fn descriptor(&self) -> AgentDescriptor {
        descriptor("compare", "Returns by how much memory use changed between two measurements.")
    }

    // The parent needs the permissions of its children.
    fn permissions(&self, payload: &Value) -> Vec<Permission> {
        Measure.permissions(payload)
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        if context.children.is_empty() {
            let children = vec![NewTask::new("measure", json!({})), NewTask::new("measure", json!({}))];
            return Ok(Step::Wait { children, state: Value::Null });
        }
        let used_of = |child: &Task| child.result.as_ref()?["used_bytes"].as_i64();
        let used: Vec<_> = context.children.iter().filter_map(used_of).collect();
        let difference = used.first().zip(used.get(1)).map(|(a, b)| b - a);
        Ok(Step::Done(json!({ "measured": used, "difference": difference })))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut builder = Engine::builder().task_store(Arc::new(MemoryTaskStore::new()));
    for source in agent::metrics::all() {
        builder = builder.metric_source(source);
    }
    let engine = builder.agent(Arc::new(Measure)).agent(Arc::new(Compare)).workers(1).build()?;
    engine.start();

    let id = engine.submit(&Caller::System, NewTask::new("compare", json!({}))).await?.id;
    let mut events = engine.events(&Caller::System, id, 0).await?;
    while let Some(event) = events.next().await {
        let event = event?;
        if let EventKind::Status { status, attempt, .. } = event.kind {
            println!("{}: {status} (attempt {attempt})", event.sequence);
        }
    }
    println!("{}", engine.task(&Caller::System, id).await?.result.unwrap_or_default());
    for message in engine.agent_messages(&Caller::System, id, None, 100).await?.items {
        println!("{} to {}: {}", message.source, message.target, json!(message.content));
    }
    engine.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
