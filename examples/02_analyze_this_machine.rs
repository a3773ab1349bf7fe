//! Runs the hardware-optimizer on this machine, with the texts of the rules or of a model.
//!
//! Run it: `cargo run --features host-metrics --example 02_analyze_this_machine`, or with a model:
//! `MODEL_PROGRAM=in-process MODEL_BACKENDS=llama-cpp=/path/model.gguf cargo run --features
//! host-metrics,llama-cpp-native --example 02_analyze_this_machine`. A model writes only the kinds of text
//! that `sutazai models check` has measured and permitted.

#![allow(clippy::print_stdout)] // an example prints what it does

use sutazai::config::Config;
use sutazai::domain::Analysis;
use sutazai::prelude::*;
use sutazai::setup::Worker;

#[tokio::main]
async fn main() -> Result<()> {
    let config = Config::worker_from_env()?;
    let use_model = !config.model_backends.is_empty();
    let worker = Worker::open(&config).await?;
    worker.start().await?;

    let task = worker.engine().submit("hardware-optimizer", json!({ "use_model": use_model })).await?;
    let analysis: Analysis = task.output().await?;
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
    worker.shutdown().await
}
