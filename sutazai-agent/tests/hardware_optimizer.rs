//! The hardware-optimizer with the real small model, on this machine.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::json;
use sutazai_agent::agents::hardware_optimizer::analyze;
use sutazai_agent::models::LlamaCppModelBackend;
use sutazai_core::domain::{Analysis, GeneratedBy, NewEvent, NewTask, Task};
use sutazai_core::ports::{AgentContext, Clock, EventSink, ModelBackend, SystemClock};

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

fn context(model: Option<Arc<dyn ModelBackend>>, use_model: bool) -> (AgentContext, Arc<Events>) {
    let events = Arc::new(Events::default());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let new = NewTask::new("hardware-optimizer", json!({ "use_model": use_model }));
    let context = AgentContext {
        task: Task::pending(new, None, None, clock.now()),
        children: Vec::new(),
        model,
        metric_sources: sutazai_agent::metrics::all(),
        metric_store: None,
        clock,
        cancellation: Default::default(),
        events: events.clone(),
    };
    (context, events)
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_is_analysed_with_the_real_model() {
    let model: Arc<dyn ModelBackend> = Arc::new(LlamaCppModelBackend::open(model_path()).unwrap());
    let (context, _) = context(Some(model), true);
    let analysis: Analysis = analyze(&context).await.unwrap();
    assert!(!analysis.recommendations.is_empty());
    assert_eq!(analysis.grounding.claims, analysis.grounding.supported, "{analysis:#?}");
    for r in &analysis.recommendations {
        println!("{:?} {:?} {}", r.text_by, r.finding_id, r.text);
    }
    println!("{:?} {:?} {:?}", analysis.model, analysis.grounding, analysis.degraded);
    assert!(analysis.recommendations.iter().any(|r| r.text_by == GeneratedBy::Model));
}
