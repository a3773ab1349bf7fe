//! Defines a typed agent that measures and reports progress, and an agent that delegates its work to child tasks.
//!
//! Run it: `cargo run --features host-metrics --example 04_custom_agent`

#![allow(clippy::print_stdout)] // an example prints what it does

use sutazai::agent::metrics;
use sutazai::prelude::*;

/// Payload of both agents: there is nothing to choose.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Used {
    /// Memory in use; null if this machine does not tell.
    used_bytes: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Difference {
    measured: Vec<u64>,
    difference: Option<i64>,
}

/// Measures the memory in use once.
async fn measure(_: Nothing, context: AgentContext) -> Result<Used> {
    context.progress(0.5, "measuring");
    let used_bytes = context.snapshot().await.host.value().and_then(|host| host.memory.used_bytes);
    Ok(Used { used_bytes })
}

/// Compares two measurements by child tasks. It occupies no worker while they run.
#[derive(Debug)]
struct Compare;

#[async_trait]
impl Agent for Compare {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new("compare", "Returns by how much memory use changed between two measurements.")
            .input_schema(sutazai::typed_agent::input_schema::<Nothing>())
            .output_schema(sutazai::typed_agent::output_schema::<Difference>())
    }

    // The parent needs the permissions of its children.
    fn permissions(&self, _: &Value) -> Vec<Permission> {
        vec![Permission::WriteTasks, Permission::ReadMetrics]
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        if context.children.is_empty() {
            let children = vec![NewTask::new("measure", json!({})), NewTask::new("measure", json!({}))];
            return Ok(Step::wait_for_all(children, Value::Null));
        }
        let used_of = |child: &Task| child.result.as_ref()?["used_bytes"].as_u64();
        let measured: Vec<u64> = context.children.iter().filter_map(used_of).collect();
        let difference = match measured[..] {
            [before, after] => Some(after.cast_signed() - before.cast_signed()),
            _ => None,
        };
        Ok(Step::Done(json!(Difference { measured, difference })))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let measure = agent("measure", measure)
        .description("Reads how much memory is in use.")
        .permissions([Permission::WriteTasks, Permission::ReadMetrics]);
    let builder = Engine::builder().agent(measure).agent(Compare).workers(1);
    let engine = metrics::all().into_iter().fold(builder, EngineBuilder::metric_source).start().await?;

    let task = engine.submit("compare", Nothing {}).await?;
    let mut events = task.events().await?;
    while let Some(event) = events.next().await {
        let event = event?;
        if let EventKind::Status { status, attempt, .. } = event.kind {
            println!("{}: {status} (attempt {attempt})", event.sequence);
        }
    }
    println!("{:?}", task.output::<Difference>().await?);
    for message in engine.agent_messages(engine.caller(), task.id(), PageRequest::default()).await?.items {
        println!("{} to {}: {}", message.source, message.target, json!(message.content));
    }
    engine.shutdown().await
}
