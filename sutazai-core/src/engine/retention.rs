//! Removes tasks that ended long ago, with their events, a few at a time.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::api::Engine;
use crate::domain::{KeepTasks, Prune};
use crate::error::Result;

/// Time between two passes.
const BETWEEN: Duration = Duration::from_secs(600);
/// So many tasks are looked at in one transaction.
const TOGETHER: u32 = 500;
/// And then others have their turn.
const BREATH: Duration = Duration::from_millis(50);

impl Engine {
    /// Removes what has been kept for long enough, until `stop`. Any number of processes may do so at once.
    pub async fn keep_tasks(&self, keep: KeepTasks, stop: CancellationToken) {
        let clock = self.clock();
        loop {
            let Some(first) = keep.prune(clock.now(), TOGETHER) else { return };
            let pass = stop.run_until_cancelled(self.prune_all(first)).await;
            match pass {
                None => return,
                Some(Ok(0)) => {}
                Some(Ok(removed)) => {
                    tracing::info!(tasks = removed, "tasks that ended long ago were removed")
                }
                Some(Err(e)) => {
                    tracing::warn!(error = %e, "old tasks could not be removed; trying again later")
                }
            }
            if stop.run_until_cancelled(clock.sleep(BETWEEN)).await.is_none() {
                return;
            }
        }
    }

    /// One pass over all tasks that may be old enough.
    async fn prune_all(&self, mut look: Prune) -> Result<u64> {
        let mut removed = 0;
        loop {
            let pruned = self.store().prune(&look).await?;
            removed += pruned.removed;
            let Some(next) = pruned.next else { return Ok(removed) };
            look.after = next;
            self.clock().sleep(BREATH).await;
        }
    }
}
