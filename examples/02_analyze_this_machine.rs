//! Runs the hardware-optimizer on this machine, with the texts of the rules or of a model.
//!
//! Run it: `cargo run --example 02_analyze_this_machine`, or with a model: `MODEL_PROGRAM=in-process
//! MODEL_BACKENDS=llama-cpp=/path/model.gguf cargo run --features llama-cpp-native --example
//! 02_analyze_this_machine`. A model writes only the kinds of text that `sutazai models check` has measured
//! and permitted.

#![allow(clippy::print_stdout)] // an example prints what it does

use std::time::Duration;

use serde_json::json;
use sutazai::config::Config;
use sutazai::domain::{Analysis, Caller, NewTask, TaskStatus};
use sutazai::setup::Service;
use sutazai::{Error, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let config = Config::from_env()?;
    let use_model = !config.model_backends.is_empty();
    let service = Service::open(&config).await?;
    service.start();

    let task = NewTask::new("hardware-optimizer", json!({ "use_model": use_model }));
    let engine = service.engine();
    let id = engine.submit(&Caller::System, task).await?.id;
    let done = engine.wait(&Caller::System, id).await?;

    if done.status == TaskStatus::Completed {
        let analysis: Analysis =
            serde_json::from_value(done.result.unwrap_or_default()).map_err(Error::json)?;
        println!("priority: {}", analysis.priority_level.as_str());
        for recommendation in &analysis.recommendations {
            println!("\n{} ({})", recommendation.finding_id, recommendation.severity.as_str());
            println!("  {}", recommendation.text);
            for command in &recommendation.commands {
                println!("  $ {command}");
            }
        }
        let grounding = analysis.grounding;
        let by_rules = grounding.written_by_rules();
        println!("\n{} of {} texts were written by the rules", by_rules, grounding.texts.len());
        println!("{}", analysis.summary);
    } else {
        println!("{}: {:?}", done.status, done.error);
    }
    service.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
