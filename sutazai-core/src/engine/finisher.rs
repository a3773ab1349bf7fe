//! Records outcomes: one finisher a process, many outcomes to a transaction.
//!
//! Whatever waits goes into one call of the store; while that runs, the next batch gathers. No timer is needed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::api::Shared;
use super::guarded::guarded;
use crate::domain::{ClaimKey, Finish};
use crate::error::{Error, ErrorKind, Result};

/// How many outcomes may wait; then workers wait.
pub(super) const CAPACITY: usize = 4_096;
/// The most in one call.
const BATCH: usize = 1_024;

/// Records until nobody can send any more.
pub(super) async fn run(shared: Arc<Shared>, mut outcomes: mpsc::Receiver<Finish>) {
    let mut batch = Vec::with_capacity(BATCH);
    while outcomes.recv_many(&mut batch, BATCH).await > 0 {
        record(&shared, std::mem::take(&mut batch)).await;
    }
    shared.closed.cancel();
}

/// Tries until the store answers, or until the leases of all of them are lost.
async fn record(shared: &Shared, mut batch: Vec<Finish>) {
    let mut pause = Duration::from_millis(50);
    loop {
        let finish = shared.parts.store.finish(batch.clone(), shared.parts.clock.now());
        match guarded("record of outcomes", finish).await {
            Ok(results) => {
                batch.iter().zip(results).for_each(|(finish, result)| recorded(shared, finish, result));
                shared.room.notify_one();
                return;
            }
            Err(e) if can_pass(e.kind()) => {
                tracing::warn!(error = %e, outcomes = batch.len(), "outcomes could not be recorded; trying again");
                shared.parts.clock.sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
                batch.retain(|finish| shared.running.holds(&finish.claim));
                if batch.is_empty() {
                    return;
                }
            }
            Err(e) => return record_each(shared, batch, &e).await,
        }
    }
}

/// The store refuses the batch: only the outcome that it cannot bear is to be lost.
async fn record_each(shared: &Shared, batch: Vec<Finish>, refused: &Error) {
    let alone = batch.len() == 1;
    for finish in batch {
        if alone {
            recorded(shared, &finish, Err(refused.clone()));
        } else {
            Box::pin(record(shared, vec![finish])).await;
        }
    }
}

fn recorded(shared: &Shared, finish: &Finish, result: Result<()>) {
    let ClaimKey { task, attempt, .. } = finish.claim;
    shared.running.remove(&finish.claim);
    match result {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::Conflict => {
            tracing::warn!(%task, attempt, "the claim was spent; the outcome is not recorded");
        }
        // Not held any more, its lease runs out, which counts as a failure: it cannot go on for ever.
        Err(e) => tracing::error!(%task, attempt, error = %e, "the outcome could not be recorded"),
    }
}

fn can_pass(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Busy | ErrorKind::Timeout)
}
