//! The hardware-optimizer with the real small model: on this machine, and on machines with much the matter.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so by ending

use std::sync::{Arc, LazyLock};

use serde_json::json;
use sutazai_agent::agents::hardware_optimizer::analyze;
use sutazai_agent::models::LlamaCppModelBackend;
use sutazai_core::domain::{Analysis, EventKind, GeneratedBy, NewEvent};
use sutazai_core::ports::{MetricSource, ModelBackend, SystemClock};
use sutazai_core::testing::{agent_context, sources_of};
use tokio::sync::Mutex;

#[path = "fixtures/launcher.rs"]
mod launcher;
#[path = "fixtures/model.rs"]
mod model;
#[path = "fixtures/varied.rs"]
mod varied;

/// Snapshots that the model writes about here; the bench `grounding` takes a hundred.
const RUNS: u64 = 6;

/// One analysis at a time: all texts of one have a time limit, and the model uses every core.
static MACHINE: Mutex<()> = Mutex::const_new(());

static MODEL: LazyLock<Arc<dyn ModelBackend>> =
    LazyLock::new(|| Arc::new(LlamaCppModelBackend::open(model::model_path(), launcher::launcher()).unwrap()));

async fn analysis_of(sources: Vec<Arc<dyn MetricSource>>) -> (Analysis, Vec<NewEvent>) {
    let (mut context, events) = agent_context("hardware-optimizer", json!({}), Arc::new(SystemClock));
    context.model = Some(MODEL.clone());
    context.metric_sources = sources;
    let _alone = MACHINE.lock().await;
    let analysis = analyze(&context).await.unwrap();
    (analysis, events.all())
}

fn sound(analysis: &Analysis) {
    assert_eq!(analysis.recommendations.len(), analysis.findings.len());
    assert_eq!(analysis.grounding.claims, analysis.grounding.supported, "{analysis:#?}");
    assert_eq!(analysis.degraded, None, "the model did not take part in all texts");
    for (finding, recommendation) in analysis.findings.iter().zip(&analysis.recommendations) {
        assert_eq!(finding.id, recommendation.finding_id);
        assert!(!recommendation.text.is_empty());
        for command in recommendation.text.split('`').skip(1).step_by(2) {
            assert!(recommendation.commands.iter().any(|own| own == command), "{command} is no remedy");
        }
    }
    let json = serde_json::to_value(analysis).unwrap();
    assert_eq!(&serde_json::from_value::<Analysis>(json).unwrap(), analysis);
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_is_analysed() {
    let (analysis, events) = analysis_of(sutazai_agent::metrics::all()).await;
    sound(&analysis);
    assert!(!analysis.recommendations.is_empty());
    let model = analysis.model.unwrap();
    assert_eq!(model.backend, "llama-cpp");
    assert!(model.completion_tokens > 0 && model.duration_ms > 0);
    let fractions: Vec<_> = events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Progress { fraction, .. } => Some(fraction),
            _ => None,
        })
        .collect();
    assert!(fractions.len() >= 3 && fractions.is_sorted(), "{fractions:?}");
    let told = events.iter().filter(|event| matches!(event.kind, EventKind::Text { .. })).count();
    let by_model = analysis.recommendations.iter().filter(|r| r.text_by == GeneratedBy::Model).count();
    assert_eq!(told, by_model, "text that was not accepted was passed on");
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_with_much_the_matter_get_true_sentences() {
    let (mut texts, mut by_model) = (0, 0);
    for seed in 0..RUNS {
        let (analysis, _) = analysis_of(sources_of(varied::varied(seed))).await;
        sound(&analysis);
        texts += analysis.recommendations.len();
        by_model += analysis.recommendations.iter().filter(|r| r.text_by == GeneratedBy::Model).count();
    }
    assert!(texts >= 12, "{texts} texts");
    assert!(by_model * 2 >= texts, "{by_model} of {texts} texts are the model's");
}
