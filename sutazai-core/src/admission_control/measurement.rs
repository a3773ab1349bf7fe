//! Metrics of requests to the model, recorded however a request ends.
//!
//! They go through the `metrics` facade, which discards them at next to no cost unless a recorder is installed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use metrics::{counter, histogram};

use crate::domain::{Embeddings, ModelUsage};
use crate::error::Error;
use crate::ports::Clock;

/// Backend and model that last answered to each requested model name. A failed request is labeled with the previous
/// answer to its name, so that invented names never become labels.
#[derive(Debug, Default)]
pub(super) struct Answered(Mutex<BTreeMap<Option<String>, (String, String)>>);

impl Answered {
    fn remember(&self, wanted: &Option<String>, labels: (String, String)) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(wanted) != Some(&labels) {
            known.insert(wanted.clone(), labels);
        }
    }

    fn labels(&self, wanted: &Option<String>) -> (String, String) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(wanted).cloned().unwrap_or_else(|| ("none".into(), "none".into()))
    }
}

/// Measurement of one request. Dropped before an end was counted, it counts as cancelled: its caller has disconnected.
#[derive(Debug)]
pub(super) struct Measurement {
    answered: Arc<Answered>,
    clock: Arc<dyn Clock>,
    wanted: Option<String>,
    begun: DateTime<Utc>,
    first_text: Option<DateTime<Utc>>,
    settled: bool,
}

impl Measurement {
    /// Starts the measurement of a request that names this model.
    pub(super) fn begin(answered: Arc<Answered>, clock: Arc<dyn Clock>, wanted: Option<String>) -> Self {
        let begun = clock.now();
        Self { answered, clock, wanted, begun, first_text: None, settled: false }
    }

    /// Records the time of the first text.
    pub(super) fn text(&mut self) {
        self.first_text.get_or_insert_with(|| self.clock.now());
    }

    /// Counts a completed answer with its tokens.
    pub(super) fn done(&mut self, usage: &ModelUsage) {
        let (backend, model) = (usage.backend.clone(), usage.model.clone());
        self.answered.remember(&self.wanted, (backend.clone(), model.clone()));
        count_tokens(&backend, &model, "prompt", usage.prompt_tokens);
        count_tokens(&backend, &model, "completion", usage.completion_tokens);
        if let Some(first) = self.first_text {
            histogram!("model_time_to_first_token_seconds", "backend" => backend, "model" => model)
                .record((first - self.begun).as_seconds_f64());
        }
        self.count((usage.backend.clone(), usage.model.clone()), "completed");
    }

    /// Counts computed embeddings, with their tokens if the backend reports them.
    pub(super) fn embedded(&mut self, made: &Embeddings) {
        let labels = (made.backend.clone(), made.model.clone());
        self.answered.remember(&self.wanted, labels.clone());
        if let Some(tokens) = made.prompt_tokens {
            count_tokens(&made.backend, &made.model, "prompt", tokens);
        }
        self.count(labels, "completed");
    }

    /// Counts a failed or rejected request.
    pub(super) fn failed(&mut self, e: &Error) {
        self.count(self.answered.labels(&self.wanted), e.kind().as_str());
    }

    fn count(&mut self, (backend, model): (String, String), outcome: &'static str) {
        if !std::mem::replace(&mut self.settled, true) {
            counter!("model_requests_total", "backend" => backend, "model" => model, "outcome" => outcome)
                .increment(1);
        }
    }
}

fn count_tokens(backend: &str, model: &str, kind: &'static str, tokens: u32) {
    let (backend, model) = (backend.to_owned(), model.to_owned());
    counter!("model_tokens_total", "backend" => backend, "model" => model, "kind" => kind)
        .increment(tokens.into());
}

impl Drop for Measurement {
    fn drop(&mut self) {
        self.count(self.answered.labels(&self.wanted), "cancelled");
    }
}
