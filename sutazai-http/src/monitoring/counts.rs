//! What this crate counts. Every label comes from a list that requests cannot make longer.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{counter, gauge, histogram};
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

/// A request was answered. `route` is the template, none for a path that leads nowhere.
pub(crate) fn answered(method: &Method, route: Option<&str>, status: StatusCode, took: Duration) {
    let method = match method.as_str() {
        known @ ("GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD" | "OPTIONS") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let endpoint = route.unwrap_or("unknown").to_owned();
    let of = [("method", method), ("endpoint", endpoint), ("status", status.as_u16().to_string())];
    counter!("http_requests_total", &of).increment(1);
    let [method, endpoint, _] = of;
    histogram!("http_request_duration_seconds", &[method, endpoint]).record(took.as_secs_f64());
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
