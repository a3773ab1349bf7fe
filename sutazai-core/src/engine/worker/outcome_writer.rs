//! Records outcomes of attempts: one writer per process, up to 1,024 outcomes per transaction.
//!
//! All queued outcomes go into one call of the store, and the next batch gathers while it runs. No timer is needed: an
//! idle writer writes at once, a busy one writes larger batches.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::domain::{ClaimKey, OutcomeRecord};
use crate::engine::guarded::guarded;
use crate::engine::shared::Shared;
use crate::error::{Error, ErrorKind, Result};

/// Number of queued outcomes above which workers wait.
pub(crate) const CAPACITY: usize = 4_096;
/// Maximum number of outcomes per call of the store.
const MAX_BATCH_SIZE: usize = 1_024;

/// Records outcomes until all senders are dropped.
pub(crate) async fn run(shared: Arc<Shared>, mut outcomes: mpsc::Receiver<OutcomeRecord>) {
    // Also after a panic: the heartbeat would otherwise renew leases for ever, and the shutdown wait for it.
    let _closed = shared.closed.clone().drop_guard();
    let mut batch = Vec::with_capacity(MAX_BATCH_SIZE);
    while outcomes.recv_many(&mut batch, MAX_BATCH_SIZE).await > 0 {
        record(&shared, std::mem::take(&mut batch)).await;
    }
}

/// Retries until the store responds, or until all claims of the batch are lost.
async fn record(shared: &Shared, mut batch: Vec<OutcomeRecord>) {
    // Doubles up to 2 s: outcomes are recorded soon after a short outage, and a struggling database is not flooded.
    let mut pause = Duration::from_millis(50);
    loop {
        let recording = shared.parts.queue.record_outcomes(batch.clone(), shared.parts.clock.now());
        match guarded("record of outcomes", recording).await {
            Ok(results) => {
                batch.iter().zip(results).for_each(|(outcome, result)| recorded(shared, outcome, result));
                shared.capacity_freed.notify_one();
                return;
            }
            Err(e) if e.kind().is_transient() => {
                tracing::warn!(error = %e, outcomes = batch.len(), "recording outcomes failed; retrying");
                shared.parts.clock.sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
                batch.retain(|outcome| shared.in_flight.holds(&outcome.claim));
                if batch.is_empty() {
                    return;
                }
            }
            Err(e) => return record_each(shared, batch, &e).await,
        }
    }
}

/// Records each outcome of a rejected batch alone, so that only the offending one is lost.
async fn record_each(shared: &Shared, batch: Vec<OutcomeRecord>, refused: &Error) {
    let alone = batch.len() == 1;
    for outcome in batch {
        if alone {
            recorded(shared, &outcome, Err(refused.clone()));
        } else {
            Box::pin(record(shared, vec![outcome])).await;
        }
    }
}

fn recorded(shared: &Shared, outcome: &OutcomeRecord, result: Result<()>) {
    let ClaimKey { task, attempt, .. } = outcome.claim;
    shared.in_flight.remove(&outcome.claim);
    match result {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::Conflict => {
            tracing::warn!(%task, attempt, "claim lost; outcome discarded");
        }
        // Once it is no longer held, its lease expires, which counts as a failure: so it is not retried forever.
        Err(e) => tracing::error!(%task, attempt, error = %e, "recording the outcome failed"),
    }
}
