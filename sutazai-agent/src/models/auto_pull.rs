//! Automatic pull of a missing default model: one pull serves all requests that wait for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use sutazai_core::ports::{Clock, ModelBackend, PullProgress};
use sutazai_core::{Error, Result};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::chain::FallbackChain;

/// Minimum time between the end of a failed pull and the start of the next one; requests in between go without the
/// model.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// Minimum time between two log lines about one step of a pull.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Pull of one model by the first backend of a chain that can pull.
#[derive(Debug)]
pub(super) struct AutoPull {
    model: String,
    chain: Arc<FallbackChain>,
    clock: Arc<dyn Clock>,
    latest: Mutex<Option<Pull>>,
}

/// A pull that is running or has ended. It continues when the requests that wait for it are dropped, because the next
/// request would need it too, and it is aborted when its [`AutoPull`] is dropped.
#[derive(Debug)]
struct Pull {
    progress: watch::Receiver<State>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug, Clone)]
enum State {
    Running(PullProgress),
    Ended { at: DateTime<Utc>, outcome: Result<()> },
}

impl AutoPull {
    pub(super) fn new(model: &str, chain: Arc<FallbackChain>, clock: Arc<dyn Clock>) -> Self {
        Self { model: model.to_owned(), chain, clock, latest: Mutex::new(None) }
    }

    /// Waits for the running pull, or for one that it starts, and reports the progress. A pull that failed less than
    /// [`RETRY_INTERVAL`] ago is not repeated: its error is returned.
    ///
    /// # Errors
    /// The error of the pull.
    pub(super) async fn wait(&self, report: impl Fn(&PullProgress)) -> Result<()> {
        let mut progress = self.join();
        loop {
            let state = progress.borrow_and_update().clone();
            match state {
                State::Running(step) => report(&step),
                State::Ended { outcome, .. } => return outcome,
            }
            if progress.changed().await.is_err() {
                return Err(Error::internal("the pull of the default model ended without an outcome"));
            }
        }
    }

    /// Subscribes to the current pull, or starts one when there is none to reuse.
    fn join(&self) -> watch::Receiver<State> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pull) = &*latest
            && self.is_reusable(&pull.progress.borrow())
        {
            return pull.progress.clone();
        }
        let begun = PullProgress { status: "begins".to_owned(), completed_bytes: None, total_bytes: None };
        let (sender, progress) = watch::channel(State::Running(begun));
        let (model, chain, clock) = (self.model.clone(), self.chain.clone(), self.clock.clone());
        let task = tokio::spawn(async move {
            let outcome = pull(&model, &chain, &*clock, &sender).await;
            match &outcome {
                Ok(()) => tracing::info!(model, "model pulled"),
                Err(e) => tracing::warn!(model, error = %e, "model pull failed"),
            }
            sender.send_replace(State::Ended { at: clock.now(), outcome });
        });
        *latest = Some(Pull { progress: progress.clone(), _task: AbortOnDropHandle::new(task) });
        progress
    }

    /// Returns whether `state` rules out another pull: it is running or failed within [`RETRY_INTERVAL`]. A pull that
    /// succeeded does not count, because the model may have been removed since.
    fn is_reusable(&self, state: &State) -> bool {
        match state {
            State::Running(_) => true,
            State::Ended { outcome: Ok(()), .. } => false,
            State::Ended { at, outcome: Err(_) } => {
                (self.clock.now() - *at).to_std().is_ok_and(|since| since < RETRY_INTERVAL)
            }
        }
    }
}

/// Pulls the model to the end, publishes each step to `progress` and logs it at most every [`LOG_INTERVAL`].
async fn pull(
    model: &str,
    chain: &FallbackChain,
    clock: &dyn Clock,
    progress: &watch::Sender<State>,
) -> Result<()> {
    tracing::info!(model, "model pull begins");
    let mut steps = chain.pull(model).await?;
    let mut logged: Option<(String, DateTime<Utc>)> = None;
    while let Some(step) = steps.next().await.transpose()? {
        let now = clock.now();
        let fresh = logged.as_ref().is_some_and(|(status, at)| {
            *status == step.status && (now - *at).to_std().is_ok_and(|since| since < LOG_INTERVAL)
        });
        if !fresh {
            let (completed_bytes, total_bytes) = (step.completed_bytes, step.total_bytes);
            tracing::info!(model, status = step.status, completed_bytes, total_bytes, "model pull progress");
            logged = Some((step.status.clone(), now));
        }
        progress.send_replace(State::Running(step));
    }
    Ok(())
}
