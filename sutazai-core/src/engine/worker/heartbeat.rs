//! Heartbeats: renews the leases of all claims of this process, receives cancellations of other processes, and stops
//! attempts that have lost their claim.
//!
//! If the store does not respond, an attempt is stopped while its lease is still valid: it must have ended when another
//! process takes over the task. The remaining time of a lease is measured with the monotonic clock, so setting the wall
//! clock stops no attempt.

use std::sync::Arc;
use std::time::Duration;

use super::in_flight::StopReason;
use crate::domain::{ClaimKey, later};
use crate::engine::guarded::guarded;
use crate::engine::shared::Shared;
use crate::error::Error;
use crate::ports::LeaseState;

/// Renews the leases every third of their duration, and sooner after a failure, until the last outcome is recorded.
pub(crate) async fn run(shared: Arc<Shared>) {
    let lease = shared.parts.lease;
    // A third of the lease lets one heartbeat fail: the time until it (1/3), its response timeout (1/5), the interval
    // until the next one (1/15), its timeout (1/5) and the time for the agent to stop (1/6) still fit into the lease.
    let mut pause = lease / 3;
    loop {
        tokio::select! {
            () = shared.closed.cancelled() => return,
            () = shared.parts.clock.sleep(pause) => {}
        }
        pause = if beat(&shared).await { lease / 3 } else { retry_interval(lease) };
    }
}

/// Interval between a failed heartbeat and the next one.
fn retry_interval(lease: Duration) -> Duration {
    lease / 15
}

/// Time limit for the store's response to a heartbeat.
fn response_timeout(lease: Duration) -> Duration {
    lease / 5
}

/// Time limit for an agent to stop after its claim was given up.
pub(crate) fn time_to_stop(lease: Duration) -> Duration {
    lease / 6
}

/// Renews the leases of all claims of this process; returns whether the store responded.
pub(crate) async fn beat(shared: &Shared) -> bool {
    let keys = shared.in_flight.keys();
    if keys.is_empty() {
        return true;
    }
    let lease = shared.parts.lease;
    let (now, begun) = (shared.parts.clock.now(), shared.parts.clock.monotonic());
    let (until, held_until) = (later(now, lease), begun.saturating_add(lease));
    let renewed = tokio::select! {
        biased;
        renewed = guarded("renewal of leases", shared.parts.queue.renew(&keys, until, now)) => renewed,
        () = shared.parts.clock.sleep(response_timeout(lease)) => Err(Error::timeout("the store did not respond")),
    };
    match renewed {
        Ok(states) => {
            for (key, state) in keys.iter().zip(states) {
                match state {
                    LeaseState::Held => shared.in_flight.renewed(key, held_until),
                    LeaseState::CancelRequested => {
                        shared.in_flight.renewed(key, held_until);
                        shared.in_flight.stop(key, StopReason::CancelRequested);
                    }
                    LeaseState::Lost => mark_lost(shared, key),
                }
            }
            true
        }
        Err(e) => {
            tracing::warn!(error = %e, leases = keys.len(), "renewing leases failed");
            // The leases that may expire before the next response, and the time to stop after it, are given up now.
            let next_answer = retry_interval(lease) + response_timeout(lease);
            let stopped = shared.parts.clock.monotonic().saturating_add(next_answer + time_to_stop(lease));
            shared.in_flight.expiring_by(stopped).iter().for_each(|key| mark_lost(shared, key));
            false
        }
    }
}

fn mark_lost(shared: &Shared, key: &ClaimKey) {
    shared.in_flight.stop(key, StopReason::Lost);
    shared.in_flight.remove(key);
}
