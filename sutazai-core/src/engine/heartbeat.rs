//! Prolongs the leases of everything this process holds, brings cancellations from elsewhere, gives up what is lost.

use std::sync::Arc;

use super::api::Shared;
use super::running::StopReason;
use crate::domain::ClaimKey;
use crate::error::Error;
use crate::ports::LeaseState;

/// Beats three times a lease, until the finisher has recorded the last outcome.
pub(super) async fn run(shared: Arc<Shared>) {
    let interval = shared.parts.lease / 3;
    loop {
        tokio::select! {
            () = shared.closed.cancelled() => return,
            () = shared.parts.clock.sleep(interval) => beat(&shared).await,
        }
    }
}

async fn beat(shared: &Shared) {
    let keys = shared.running.keys();
    if keys.is_empty() {
        return;
    }
    let now = shared.parts.clock.now();
    let until = now + shared.parts.lease;
    let renewed = tokio::select! {
        biased;
        renewed = shared.parts.store.renew(&keys, until, now) => renewed,
        () = shared.parts.clock.sleep(shared.parts.lease / 3) => Err(Error::timeout("the store did not answer")),
    };
    match renewed {
        Ok(states) => {
            for (key, state) in keys.iter().zip(states) {
                match state {
                    LeaseState::Held => shared.running.prolonged(key, until),
                    LeaseState::CancelRequested => {
                        shared.running.prolonged(key, until);
                        shared.running.stop(key, StopReason::CancelRequested);
                    }
                    LeaseState::Lost => lose(shared, key),
                }
            }
        }
        Err(e) => {
            tracing::warn!(error = %e, leases = keys.len(), "leases could not be prolonged");
            let now = shared.parts.clock.now();
            shared.running.run_out(now).iter().for_each(|key| lose(shared, key));
        }
    }
}

fn lose(shared: &Shared, key: &ClaimKey) {
    shared.running.stop(key, StopReason::Lost);
    shared.running.remove(key);
}
