//! Revocation poller: reads the sessions that ended in other processes, or by changes of users, so that their access
//! tokens are rejected here without a query per request.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::earlier;
use crate::identity::Identity;

/// Polling interval: three polls fit into the minute within which a revoked session must be rejected everywhere.
const INTERVAL: Duration = Duration::from_secs(20);
/// Overlap of each poll with the previous one: the clocks of two machines differ, and a session counts as ended at the
/// start of its transaction.
const OVERLAP: Duration = Duration::from_secs(60);

impl Identity {
    /// Polls for revoked sessions until `stop` is cancelled. Needed once in each server that shares its store with
    /// other servers or with operator commands; sessions revoked in this process are rejected at once without it.
    pub async fn follow_ended_sessions(&self, stop: CancellationToken) {
        let mut since = earlier(self.clock.now(), self.config.access_ttl);
        loop {
            let asked_at = self.clock.now();
            match self.store.revoked_since(since).await {
                Ok(ended) => {
                    self.refuse_here(&ended);
                    since = earlier(asked_at, OVERLAP);
                }
                Err(e) => {
                    tracing::warn!(error = %e, "reading session revocations failed; retrying")
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(INTERVAL) => {}
            }
        }
    }
}
