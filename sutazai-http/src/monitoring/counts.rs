//! Counters of this crate. All label values come from fixed lists, so that requests cannot create series.

use metrics::{counter, gauge};
use sutazai_core::{Error, ErrorKind};

/// Agent whose tasks are hardware analyses.
const HARDWARE_OPTIMIZER: &str = "hardware-optimizer";

/// Values of the label `outcome` of sign-ins.
const LOGIN_OUTCOMES: [&str; 5] = ["success", "refused", "disabled", "busy", "error"];

/// Creates the known series with the value 0: a rate needs a first value, and otherwise misses the first increment.
pub(super) fn begin() {
    for outcome in LOGIN_OUTCOMES {
        counter!("user_login_total", "outcome" => outcome).increment(0);
    }
    counter!("hardware_analysis_requests_total").increment(0);
    gauge!("argon2_queue_depth").set(0.0);
}

/// Counts a sign-in attempt by its outcome.
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

/// Counts a submitted task, if it is a hardware analysis.
pub(crate) fn requested(agent: &str) {
    if agent == HARDWARE_OPTIMIZER {
        counter!("hardware_analysis_requests_total").increment(1);
    }
}
