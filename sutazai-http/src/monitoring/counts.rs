//! What this crate counts. Every label comes from a list that requests cannot make longer.

use metrics::{counter, gauge};
use sutazai_core::{Error, ErrorKind};

/// The agent whose tasks are analyses of the machine.
const HARDWARE_OPTIMIZER: &str = "hardware-optimizer";

/// Every outcome of a sign-in.
const LOGIN_OUTCOMES: [&str; 5] = ["success", "refused", "disabled", "busy", "error"];

/// Begins at 0 what is known beforehand: a rate over what does not exist yet says nothing.
pub(super) fn begin() {
    for outcome in LOGIN_OUTCOMES {
        counter!("user_login_total", "outcome" => outcome).increment(0);
    }
    counter!("hardware_analysis_requests_total").increment(0);
    gauge!("argon2_queue_depth").set(0.0);
}

/// Somebody tried to sign in.
pub(crate) fn login<T>(result: &Result<T, Error>) {
    let outcome = match result.as_ref().err().map(Error::kind) {
        None => "success",
        Some(ErrorKind::Unauthenticated | ErrorKind::InvalidInput) => "refused",
        Some(ErrorKind::Forbidden) => "disabled",
        Some(ErrorKind::Busy | ErrorKind::RateLimited) => "busy",
        Some(_) => "error",
    };
    counter!("user_login_total", "outcome" => outcome).increment(1);
}

/// A task was asked for and accepted.
pub(crate) fn requested(agent: &str) {
    if agent == HARDWARE_OPTIMIZER {
        counter!("hardware_analysis_requests_total").increment(1);
    }
}
