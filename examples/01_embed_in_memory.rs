//! Embeds the engine in a program: an agent in a few lines, a task, its result. Offline, and done within a
//! second.
//!
//! Run it: `cargo run --example 01_embed_in_memory`

#![allow(clippy::print_stdout)] // an example prints what it does

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use sutazai::domain::{AgentDescriptor, Caller, NewTask, Step};
use sutazai::engine::Engine;
use sutazai::memory::MemoryTaskStore;
use sutazai::ports::{Agent, AgentContext};
use sutazai::{Error, Result};

#[derive(Debug)]
struct WordCounter;

#[async_trait]
impl Agent for WordCounter {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor {
            name: "word-counter".into(),
            description: "Counts the words of a text.".into(),
            capabilities: vec!["count_words".into()],
            input_schema: json!({
                "type": "object",
                "properties": { "text": { "type": "string" } },
                "required": ["text"],
                "additionalProperties": false
            }),
        }
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        let text =
            context.task.payload["text"].as_str().ok_or_else(|| Error::invalid("text", "expected a text"))?;
        Ok(Step::Done(json!({ "words": text.split_whitespace().count() })))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let engine = Engine::builder()
        .task_store(Arc::new(MemoryTaskStore::new()))
        .agent(Arc::new(WordCounter))
        .build()?;
    engine.start();

    let task = NewTask::new("word-counter", json!({ "text": "nothing leaves the machine" }));
    let id = engine.submit(&Caller::System, task).await?.id;
    let done = engine.wait(&Caller::System, id).await?;
    println!("{}: {}", done.status, done.result.unwrap_or_default());

    let rejected = engine.submit(&Caller::System, NewTask::new("word-counter", json!({ "txt": "?" }))).await;
    println!(
        "a payload that does not match the schema is rejected: {}",
        rejected.err().map(|e| e.to_string()).unwrap_or_default()
    );

    engine.shutdown(std::time::Duration::from_secs(1)).await;
    Ok(())
}
