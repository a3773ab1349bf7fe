//! The hardware-optimizer with the real small model: on this machine, and on machines with much the matter.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on says so by ending

use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::json;
use sutazai_agent::agents::hardware_optimizer::analyze;
use sutazai_agent::models::LlamaCppModelBackend;
use sutazai_core::domain::{
    Analysis, EventKind, GeneratedBy, NewEvent, NewTask, Section, Snapshot, SnapshotPart, Task,
};
use sutazai_core::ports::{AgentContext, Clock, EventSink, MetricSource, ModelBackend, SystemClock};

#[path = "fixtures/varied.rs"]
mod varied;

/// Snapshots that the model writes about here; the bench `grounding` takes a hundred.
const RUNS: u64 = 6;

static MODEL: LazyLock<Arc<dyn ModelBackend>> =
    LazyLock::new(|| Arc::new(LlamaCppModelBackend::open(model_path()).unwrap()));

fn model_path() -> PathBuf {
    let path = std::env::var_os("SUTAZAI_TEST_MODEL").map(PathBuf::from).unwrap_or_else(|| {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        home.join(".cache/sutazai/models/SmolLM2-135M-Instruct.Q4_1.gguf")
    });
    assert!(path.is_file(), "there is no model at {}: run scripts/model.sh", path.display());
    path
}

#[derive(Debug, Default)]
struct Events(Mutex<Vec<NewEvent>>);

impl EventSink for Events {
    fn emit(&self, event: NewEvent) {
        self.0.lock().unwrap().push(event);
    }
}

#[derive(Debug)]
struct Recorded(&'static str, SnapshotPart);

#[async_trait::async_trait]
impl MetricSource for Recorded {
    fn name(&self) -> &str {
        self.0
    }

    async fn collect(&self) -> sutazai_core::Result<SnapshotPart> {
        Ok(self.1.clone())
    }
}

fn sources(snapshot: Snapshot) -> Vec<Arc<dyn MetricSource>> {
    let mut sources: Vec<Arc<dyn MetricSource>> = Vec::new();
    if let Section::Present { value } = snapshot.host {
        sources.push(Arc::new(Recorded("host", SnapshotPart::Host(value))));
    }
    if let Section::Present { value } = snapshot.pressure {
        sources.push(Arc::new(Recorded("pressure", SnapshotPart::Pressure(value))));
    }
    if let Section::Present { value } = snapshot.containers {
        sources.push(Arc::new(Recorded("containers", SnapshotPart::Containers(value))));
    }
    sources
}

async fn analysis_of(sources: Vec<Arc<dyn MetricSource>>) -> (Analysis, Vec<NewEvent>) {
    let events = Arc::new(Events::default());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let context = AgentContext {
        task: Task::pending(NewTask::new("hardware-optimizer", json!({})), None, None, clock.now()),
        children: Vec::new(),
        model: Some(MODEL.clone()),
        metric_sources: sources,
        metric_store: None,
        clock,
        cancellation: Default::default(),
        events: events.clone(),
    };
    let analysis = analyze(&context).await.unwrap();
    let events = std::mem::take(&mut *events.0.lock().unwrap());
    (analysis, events)
}

fn sound(analysis: &Analysis) {
    assert_eq!(analysis.recommendations.len(), analysis.findings.len());
    assert_eq!(analysis.grounding.claims, analysis.grounding.supported, "{analysis:#?}");
    assert_eq!(analysis.degraded, None);
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
        let (analysis, _) = analysis_of(sources(varied::varied(seed))).await;
        sound(&analysis);
        texts += analysis.recommendations.len();
        by_model += analysis.recommendations.iter().filter(|r| r.text_by == GeneratedBy::Model).count();
    }
    assert!(texts >= 12, "{texts} texts");
    assert!(by_model * 2 >= texts, "{by_model} of {texts} texts are the model's");
}
