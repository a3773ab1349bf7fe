//! A hundred analyses by the real small model: how many texts are the model's, whether all are true, what they look
//! like. `SUTAZAI_TEST_MODEL` names the GGUF file; `cargo bench -p sutazai-agent --features llama-cpp --bench grounding`.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::expect_used)] // a bench that cannot go on ends

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use sutazai_agent::agents::hardware_optimizer::analyze;
use sutazai_agent::models::LlamaCppModelBackend;
use sutazai_core::domain::{Analysis, GeneratedBy, Grounding};
use sutazai_core::ports::{ModelBackend, SystemClock};
use sutazai_core::testing::{agent_context, sources_of};

#[path = "../tests/fixtures/varied.rs"]
mod varied;

const RUNS: u64 = 100;
const SAMPLES: usize = 20;

async fn analysis(model: &Arc<dyn ModelBackend>, seed: u64) -> Analysis {
    let snapshot = if seed == 0 { varied::recorded() } else { varied::varied(seed) };
    let (mut context, _) = agent_context("hardware-optimizer", json!({}), Arc::new(SystemClock));
    context.model = Some(model.clone());
    context.metric_sources = sources_of(snapshot);
    analyze(&context).await.unwrap()
}

#[tokio::main]
async fn main() {
    let path = std::env::var("SUTAZAI_TEST_MODEL").expect("SUTAZAI_TEST_MODEL names a GGUF file");
    let model: Arc<dyn ModelBackend> = Arc::new(LlamaCppModelBackend::open(path).unwrap());
    let (mut texts, mut by_model, mut whole) = (0, 0, 0);
    let mut sum = Grounding::default();
    let mut took = Vec::new();
    let mut samples = Vec::new();
    for seed in 0..RUNS {
        let begun = Instant::now();
        let analysis = analysis(&model, seed).await;
        took.push(begun.elapsed().as_secs_f64());
        eprint!("\r{} of {RUNS}", seed + 1);
        let grounding = analysis.grounding;
        whole += usize::from(grounding.claims == grounding.supported && analysis.degraded.is_none());
        sum.claims += grounding.claims;
        sum.supported += grounding.supported;
        sum.rewritten += grounding.rewritten;
        sum.replaced += grounding.replaced;
        texts += analysis.recommendations.len();
        for recommendation in analysis.recommendations {
            if recommendation.text_by == GeneratedBy::Model {
                by_model += 1;
                samples.push(recommendation.text);
            }
        }
    }
    eprintln!();
    took.sort_by(f64::total_cmp);
    println!(
        "{whole} of {RUNS} results fully supported; {} of {} claims; {} texts written again, {} replaced",
        sum.supported, sum.claims, sum.rewritten, sum.replaced
    );
    println!("{by_model} of {texts} texts by the model ({:.1} %)", by_model as f64 / texts as f64 * 100.0);
    println!("seconds an analysis: median {:.1}, longest {:.1}", took[took.len() / 2], took[took.len() - 1]);
    let step = (samples.len() / SAMPLES).max(1);
    for text in samples.iter().step_by(step).take(SAMPLES) {
        println!("  {text}");
    }
}
