//! Analysis of this machine without a queue.
//!
//! It must work on a machine where almost nothing does: with a full disk, a mount that hangs, or no thread left. So
//! it uses the history only if its folder responds and its database opens in time; otherwise the report says what was
//! missing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sutazai_agent::agents::hardware_optimizer;
use sutazai_agent::metrics::{self, History};
use sutazai_core::Result;
use sutazai_core::domain::{Analysis, NewTask, Task};
use sutazai_core::ports::{AgentContext, Clock, EventSink, MetricStore, SystemClock};
use tokio_util::sync::CancellationToken;

use super::model_backends::{models, pull_missing};
use super::{data_folder, metric_sources, stores};
use crate::config::Config;

/// Maximum time in which the file system of the database must respond.
const FOLDER_TIMEOUT: Duration = Duration::from_millis(500);
/// Maximum time for opening the database.
const OPEN_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum time for storing the snapshot.
const APPEND_TIMEOUT: Duration = Duration::from_millis(500);

/// Local analysis: the parts that the hardware-optimizer may use, and notes about unavailable ones.
#[derive(Debug)]
pub struct LocalAnalysis {
    context: AgentContext,
    notes: Vec<String>,
}

impl LocalAnalysis {
    /// Opens the history and connects the models. If the history cannot be used, the results contain a note.
    ///
    /// With `use_model`, a missing default model is pulled if `MODEL_AUTO_PULL` allows it; `events` receives the
    /// progress.
    ///
    /// # Errors
    /// Those of [`models()`], when `use_model` is set.
    pub async fn open(config: &Config, use_model: bool, events: Arc<dyn EventSink>) -> Result<Self> {
        let mut notes = Vec::new();
        let (metric_store, clock) = match history(config).await {
            Ok((store, clock)) => (Some(store), clock),
            Err(why) => {
                notes.push(format!("the history is not used, so there are no trends: {why}"));
                (None, Arc::new(SystemClock) as Arc<dyn Clock>)
            }
        };
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
        let context = AgentContext {
            task: Task::pending(new, None, None, clock.now()),
            children: Vec::new(),
            model: model.map(|manager| manager as _),
            metric_sources: metric_sources(),
            metric_store,
            host: config.host_name.clone(),
            clock,
            cancellation: CancellationToken::new(),
            events,
        };
        Ok(Self { context, notes })
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
    pub async fn run(&self) -> Result<Analysis> {
        let mut analysis = hardware_optimizer::analyze(&self.context).await?;
        analysis.notes.extend(self.notes.iter().cloned());
        if let Some(store) = self.context.metric_store.as_deref()
            && let Err(why) = remember(store, &analysis).await
        {
            analysis.notes.push(format!("this snapshot is not in the history: {why}"));
        }
        Ok(analysis)
    }
}

/// Opens the metric store, with the clock of its database; the error is a reason for people.
async fn history(config: &Config) -> std::result::Result<(Arc<dyn MetricStore>, Arc<dyn Clock>), String> {
    // A file system that hangs would block any thread that touches it, so a child process checks the folder.
    if let Some(folder) = data_folder(config).filter(|folder| !metrics::answers(folder, FOLDER_TIMEOUT)) {
        return Err(format!("{} did not answer within {FOLDER_TIMEOUT:?}", folder.display()));
    }
    match tokio::time::timeout(OPEN_TIMEOUT, stores(config)).await {
        Ok(Ok(stores)) => Ok((stores.metrics, stores.clock)),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err(format!("the database did not open within {OPEN_TIMEOUT:?}")),
    }
}

async fn remember(store: &dyn MetricStore, analysis: &Analysis) -> std::result::Result<(), String> {
    let samples = History::samples(&analysis.host, &analysis.metrics);
    match tokio::time::timeout(APPEND_TIMEOUT, store.append(&samples)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err(format!("it could not be written within {APPEND_TIMEOUT:?}")),
    }
}
