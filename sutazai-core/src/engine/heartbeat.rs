//! Prolongs the leases of everything this process holds, brings cancellations from elsewhere, gives up what is lost.
//!
//! Where the store does not answer, an attempt is given up while its lease still lasts: it has to have stopped when
//! somebody else takes the task over. How long a lease still lasts is measured by the steady reading of the clock: that
//! somebody sets the clock ends no attempt.

use std::sync::Arc;
use std::time::Duration;

use super::api::Shared;
use super::guarded::guarded;
use super::running::StopReason;
use crate::domain::{ClaimKey, later};
use crate::error::Error;
use crate::ports::LeaseState;

/// Beats three times a lease, sooner after a beat that failed, until the finisher has recorded the last outcome.
pub(super) async fn run(shared: Arc<Shared>) {
    let lease = shared.parts.lease;
    let mut pause = lease / 3;
    loop {
        tokio::select! {
            () = shared.closed.cancelled() => return,
            () = shared.parts.clock.sleep(pause) => {}
        }
        pause = if beat(&shared).await { lease / 3 } else { pause_after_failure(lease) };
    }
}

fn pause_after_failure(lease: Duration) -> Duration {
    lease / 15
}

/// How long the store may take to answer a beat.
fn patience(lease: Duration) -> Duration {
    lease / 5
}

/// How long an agent whose lease is given up may take to stop.
pub(super) fn time_to_stop(lease: Duration) -> Duration {
    lease / 6
}

/// Renews every lease that this process holds. Whether the store answered.
pub(super) async fn beat(shared: &Shared) -> bool {
    let keys = shared.running.keys();
    if keys.is_empty() {
        return true;
    }
    let lease = shared.parts.lease;
    let (now, begun) = (shared.parts.clock.now(), shared.parts.clock.steady());
    let (until, held_until) = (later(now, lease), begun.saturating_add(lease));
    let renewed = tokio::select! {
        biased;
        renewed = guarded("renewal of leases", shared.parts.store.renew(&keys, until, now)) => renewed,
        () = shared.parts.clock.sleep(patience(lease)) => Err(Error::timeout("the store did not answer")),
    };
    match renewed {
        Ok(states) => {
            for (key, state) in keys.iter().zip(states) {
                match state {
                    LeaseState::Held => shared.running.prolonged(key, held_until),
                    LeaseState::CancelRequested => {
                        shared.running.prolonged(key, held_until);
                        shared.running.stop(key, StopReason::CancelRequested);
                    }
                    LeaseState::Lost => lose(shared, key),
                }
            }
            true
        }
        Err(e) => {
            tracing::warn!(error = %e, leases = keys.len(), "leases could not be prolonged");
            let next_answer = pause_after_failure(lease) + patience(lease);
            let stopped = shared.parts.clock.steady().saturating_add(next_answer + time_to_stop(lease));
            shared.running.run_out(stopped).iter().for_each(|key| lose(shared, key));
            false
        }
    }
}

fn lose(shared: &Shared, key: &ClaimKey) {
    shared.running.stop(key, StopReason::Lost);
    shared.running.remove(key);
}
