//! Retention: removes tasks that ended long ago, with their events, in small batches.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::{RetentionBatch, RetentionPolicy};
use crate::engine::client::engine::Engine;
use crate::error::Result;

/// Interval between two passes over the tasks.
const PASS_INTERVAL: Duration = Duration::from_secs(600);
/// Number of tasks scanned in one transaction.
const PRUNE_BATCH_SIZE: u32 = 500;
/// Pause between batches, so that pruning does not starve writers.
const PRUNE_PAUSE: Duration = Duration::from_millis(50);

/// Removes ended tasks older than the policy allows, every 10 minutes until `stop`; ends at once if everything is kept.
/// Any number of processes may run it concurrently.
pub(crate) async fn run(engine: Engine, policy: RetentionPolicy, stop: CancellationToken) {
    let clock = engine.clock();
    loop {
        let Some(first) = policy.prune(clock.now(), PRUNE_BATCH_SIZE) else { return };
        let pass = stop.run_until_cancelled(prune_all(&engine, first)).await;
        match pass {
            None => return,
            Some(Ok(0)) => {}
            Some(Ok(removed)) => {
                tracing::info!(tasks = removed, "ended tasks removed")
            }
            Some(Err(e)) => {
                tracing::warn!(error = %e, "removing ended tasks failed; retrying later")
            }
        }
        if stop.run_until_cancelled(clock.sleep(PASS_INTERVAL)).await.is_none() {
            return;
        }
    }
}

/// Runs one pass over all tasks that may be old enough; returns the number of removed tasks.
async fn prune_all(engine: &Engine, mut batch: RetentionBatch) -> Result<u64> {
    let mut removed = 0;
    loop {
        let pruned = engine.records().prune(&batch).await?;
        removed += pruned.removed;
        let Some(next) = pruned.next else { return Ok(removed) };
        batch.after = next;
        engine.clock().sleep(PRUNE_PAUSE).await;
    }
}
