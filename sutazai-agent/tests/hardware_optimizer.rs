//! Hardware-optimizer with the real small model: on this machine, and on machines with many problems.

#![allow(clippy::unwrap_used)] // a failing test panics

use std::sync::{Arc, LazyLock};

use serde_json::json;
use sutazai_agent::agents::hardware_optimizer::analyze;
use sutazai_agent::models::{LlamaCppModelBackend, MeasuredModel, ModelManager, PermissionStore};
use sutazai_core::domain::{
    Analysis, ChatMessage, EventKind, GenerateRequest, GeneratedBy, ModelPermission, NewEvent,
};
use sutazai_core::ports::{Clock, MetricSource, ModelBackend, ModelBackendExt, SystemClock};
use sutazai_core::testing::{agent_context, sources_of};
use tokio::sync::Mutex;

#[path = "fixtures/launcher.rs"]
mod launcher;
#[path = "fixtures/model.rs"]
mod model;
#[path = "fixtures/varied.rs"]
mod varied;

/// Number of snapshots that the model writes about here; the bench `grounding` uses a hundred.
const RUNS: u64 = 6;

/// One analysis at a time: the texts of an analysis share a time limit, and the model uses every core.
static ANALYSIS_LOCK: Mutex<()> = Mutex::const_new(());

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// Returns the small model, which is permitted everything here, whatever a measurement says.
async fn permitted_model() -> Arc<dyn ModelBackend> {
    static MODEL: tokio::sync::OnceCell<Arc<dyn ModelBackend>> = tokio::sync::OnceCell::const_new();
    let open = || async {
        let backend = LlamaCppModelBackend::open(model::model_path(), launcher::launcher()).unwrap();
        let backend: Arc<dyn ModelBackend> = Arc::new(backend);
        let info = backend.models().await.unwrap().remove(0);
        // The first request loads the weights, which must not count against the time limit of the texts.
        let warm_up = GenerateRequest {
            model: Some(info.name.clone()),
            max_tokens: 1,
            ..GenerateRequest::new(vec![ChatMessage::user("Hello")])
        };
        backend.complete(warm_up).await.unwrap();
        let store = PermissionStore::new(FOLDER.path().join("permissions.json"));
        let granted = vec![ModelPermission::Choose, ModelPermission::Word];
        let (backend_name, model) = (info.backend.clone(), info.name.clone());
        let measured_at = SystemClock.now();
        let measured =
            MeasuredModel { backend: backend_name, model, measured_at, granted, measurements: Vec::new() };
        store.record(&info, measured).unwrap();
        let manager = ModelManager::new(vec![backend], &info.name, Arc::new(SystemClock));
        Arc::new(manager.with_permissions(store)) as Arc<dyn ModelBackend>
    };
    MODEL.get_or_init(open).await.clone()
}

async fn analysis_of(sources: Vec<Arc<dyn MetricSource>>) -> (Analysis, Vec<NewEvent>) {
    let (mut context, events) = agent_context("hardware-optimizer", json!({}), Arc::new(SystemClock));
    context.model = Some(permitted_model().await);
    context.metric_sources = sources;
    let _alone = ANALYSIS_LOCK.lock().await;
    let analysis = analyze(&context).await.unwrap();
    (analysis, events.all())
}

/// Returns whether `reason` says that the time limit of the texts had passed.
fn is_time_limit(reason: &str) -> bool {
    ["no answer within", "the model did not write all texts within"]
        .iter()
        .any(|start| reason.starts_with(start))
}

fn sound(analysis: &Analysis) {
    assert_eq!(analysis.recommendations.len(), analysis.findings.len());
    assert_eq!(analysis.grounding.texts.len(), analysis.findings.len());
    // A slow machine may not write all texts within their time limit; every other reason is a fault.
    if let Some(reason) = &analysis.degraded {
        assert!(is_time_limit(reason), "the model did not take part in all texts: {reason}");
    }
    for (finding, recommendation) in analysis.findings.iter().zip(&analysis.recommendations) {
        assert_eq!(finding.id, recommendation.finding_id);
        assert!(recommendation.text.len() > finding.summary.len() / 2, "{recommendation:?}");
        for command in recommendation.text.split('`').skip(1).step_by(2) {
            assert!(recommendation.commands.iter().any(|own| own == command), "{command} is no remedy");
        }
    }
    let json = serde_json::to_value(analysis).unwrap();
    assert_eq!(&serde_json::from_value::<Analysis>(json).unwrap(), analysis);
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_is_analyzed() {
    let (analysis, events) = analysis_of(sutazai_agent::metrics::all()).await;
    sound(&analysis);
    assert!(!analysis.recommendations.is_empty());
    match &analysis.model {
        Some(model) => {
            assert_eq!(model.backend, "llama-cpp");
            assert!(model.completion_tokens > 0 && model.duration_ms > 0);
        }
        None => assert!(analysis.degraded.is_some(), "no reason is given for the missing model"),
    }
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
async fn every_text_about_a_sick_machine_belongs_to_its_writer() {
    let (mut texts, mut by_model) = (0, 0);
    for seed in 0..RUNS {
        let (analysis, _) = analysis_of(sources_of(varied::varied(seed))).await;
        sound(&analysis);
        texts += analysis.recommendations.len();
        for (checked, recommendation) in analysis.grounding.texts.iter().zip(&analysis.recommendations) {
            let written = checked.permission.is_some();
            assert_eq!(written, recommendation.text_by == GeneratedBy::Model);
            by_model += usize::from(written);
        }
    }
    assert!(texts >= 12, "{texts} texts");
    assert!(by_model > 0, "no text of {texts} is the model's");
}
