//! Hears of the sessions that ended in other processes, or by changes of users, so that their access tokens are refused
//! here without a look at the store at each request.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::earlier;
use crate::identity::Identity;

/// The time between two looks: three fit into the minute within which an ended session must be refused everywhere.
const INTERVAL: Duration = Duration::from_secs(20);
/// How far each look goes back before the one before it: the clocks of two machines are not one, and a session counts
/// as ended from the time at which its transaction began.
const OVERLAP: Duration = Duration::from_secs(60);

impl Identity {
    /// Looks for ended sessions until it is told to stop. A server that shares its store with others, or that an
    /// operator's commands work beside, runs this once; what ends in this process itself is refused at once without it.
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
                    tracing::warn!(error = %e, "sessions that ended elsewhere are not known at present")
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(INTERVAL) => {}
            }
        }
    }
}
