//! Records outcomes: one finisher a process, many outcomes to a transaction.
//!
//! Whatever waits goes into one call of the store; while that runs, the next batch gathers. No timer is needed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::api::Shared;
use crate::domain::Finish;
use crate::error::ErrorKind;

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
        let now = shared.parts.clock.now();
        match shared.parts.store.finish(batch.clone(), now).await {
            Ok(results) => {
                for (finish, result) in batch.iter().zip(results) {
                    shared.running.remove(&finish.claim);
                    match result {
                        Err(e) if e.kind() == ErrorKind::Conflict => {
                            tracing::warn!(task = %finish.claim.task, attempt = finish.claim.attempt, "the claim was spent; the outcome is not recorded");
                        }
                        Err(e) => {
                            tracing::error!(task = %finish.claim.task, error = %e, "the outcome could not be recorded")
                        }
                        Ok(()) => {}
                    }
                }
                return;
            }
            Err(e) => {
                tracing::warn!(error = %e, outcomes = batch.len(), "outcomes could not be recorded; trying again");
                shared.parts.clock.sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
                batch.retain(|finish| shared.running.holds(&finish.claim));
                if batch.is_empty() {
                    return;
                }
            }
        }
    }
}
