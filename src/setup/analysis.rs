//! Analysis of this machine without a queue.
//!
//! It must work on a machine where almost nothing does: with a full disk, a mount that hangs, or no thread left. So
//! it uses the history only if its folder responds and its database opens in time; otherwise the report says what was
//! missing.

use std::sync::Arc;

use serde_json::json;
use sutazai_agent::agents::hardware_optimizer;
use sutazai_agent::metrics;
use sutazai_core::Result;
use sutazai_core::adapter::analysis_budget::{
    DATABASE_FOLDER_TIMEOUT, DATABASE_OPEN_TIMEOUT, HISTORY_WRITE_TIMEOUT,
};
use sutazai_core::adapter::samples;
use sutazai_core::domain::{Analysis, NewTask, Snapshot, Task};
use sutazai_core::ports::{AgentContext, Clock, EventSink, MetricStore, SystemClock};

use super::model_backends::{models, pull_missing};
use super::{data_folder, metric_sources, stores};
use crate::config::Config;

/// Local analysis: the parts that the hardware-optimizer may use, and notes about unavailable ones.
#[derive(Debug)]
pub struct LocalAnalysis {
    context: AgentContext,
    /// Settings of the history, until the first run opens it.
    unopened: Option<Config>,
    notes: Vec<String>,
}

impl LocalAnalysis {
    /// Connects the models. The first run opens the history; if it cannot be used, the results contain a note.
    ///
    /// With `use_model`, a missing default model is pulled if `MODEL_AUTO_PULL` allows it; `events` receives the
    /// progress.
    ///
    /// # Errors
    /// Those of [`models()`], when `use_model` is set.
    pub async fn open(config: &Config, use_model: bool, events: Arc<dyn EventSink>) -> Result<Self> {
        let mut notes = Vec::new();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let with_model = use_model && !config.model_backends.trim().is_empty();
        // The backends run on threads of their own, and starting a thread would panic if none is available.
        let has_threads = !with_model || std::thread::Builder::new().spawn(|| ()).is_ok();
        if !has_threads {
            notes.push("no model is used: no thread can be started for it".to_owned());
        }
        let model = if with_model && has_threads { models(config, clock.clone()).await? } else { None };
        if let Some(manager) = &model {
            pull_missing(manager, &config.default_model, &*events, &*clock).await;
        }
        let new = NewTask::new("hardware-optimizer", json!({ "use_model": use_model }));
        let task = Task::pending(new, None, None, clock.now());
        let mut context = AgentContext::new(task, clock, events);
        context.model = model.map(|manager| manager as _);
        (context.metric_sources, context.host) = (metric_sources(), config.host_name.clone());
        Ok(Self { context, unopened: Some(config.clone()), notes })
    }

    /// Returns the context of the analysis.
    pub fn context(&self) -> &AgentContext {
        &self.context
    }

    /// Sends the progress of the next analysis to `events`.
    pub fn report_to(&mut self, events: Arc<dyn EventSink>) {
        self.context.events = events;
    }

    /// Analyzes the machine, and adds the snapshot to the history of its host.
    ///
    /// # Errors
    /// `Cancelled` once the context is cancelled.
    pub async fn run(&mut self) -> Result<Analysis> {
        let snapshot = self.measure().await;
        let mut analysis = hardware_optimizer::analyze_snapshot(&self.context, snapshot).await?;
        analysis.notes.extend(self.notes.iter().cloned());
        if let Some(store) = self.context.metric_store.as_deref()
            && let Err(why) = remember(store, &analysis).await
        {
            analysis.notes.push(format!("this snapshot is not in the history: {why}"));
        }
        Ok(analysis)
    }

    /// Measures the machine. The first time, the history is opened meanwhile: neither waits for the other.
    async fn measure(&mut self) -> Snapshot {
        let Some(config) = self.unopened.take() else {
            return hardware_optimizer::measure(&self.context).await;
        };
        let (mut snapshot, opened) =
            tokio::join!(hardware_optimizer::measure(&self.context), history(&config));
        match opened {
            Ok((store, clock)) => {
                // The samples of the history have the times of this clock.
                snapshot.taken_at = clock.now();
                (self.context.metric_store, self.context.clock) = (Some(store), clock);
            }
            Err(why) => {
                self.notes.push(format!("the history is not used, so there are no trends: {why}"));
            }
        }
        snapshot
    }
}

/// Opens the metric store, with the clock of its database; the error is a reason for people.
async fn history(config: &Config) -> std::result::Result<(Arc<dyn MetricStore>, Arc<dyn Clock>), String> {
    // A file system that hangs would block any thread that touches it, so a child process checks the folder.
    if let Some(folder) = data_folder(config)
        && !metrics::answers(&folder, DATABASE_FOLDER_TIMEOUT).await
    {
        return Err(format!("{} did not answer within {DATABASE_FOLDER_TIMEOUT:?}", folder.display()));
    }
    match tokio::time::timeout(DATABASE_OPEN_TIMEOUT, stores(config)).await {
        Ok(Ok(stores)) => Ok((stores.metrics, stores.clock)),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err(format!("the database did not open within {DATABASE_OPEN_TIMEOUT:?}")),
    }
}

async fn remember(store: &dyn MetricStore, analysis: &Analysis) -> std::result::Result<(), String> {
    let samples = samples(&analysis.host, &analysis.metrics);
    match tokio::time::timeout(HISTORY_WRITE_TIMEOUT, store.append(&samples)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err(format!("it could not be written within {HISTORY_WRITE_TIMEOUT:?}")),
    }
}
