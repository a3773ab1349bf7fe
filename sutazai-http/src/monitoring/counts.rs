//! What this crate counts. Every label comes from a list that requests cannot make longer.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Label, SharedString, counter, gauge, histogram};
use sutazai_core::{Error, ErrorKind};

/// The agent whose tasks are analyses of the machine.
const HARDWARE_OPTIMIZER: &str = "hardware-optimizer";

/// The methods that are counted by name.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

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
    let method = METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or("other");
    let endpoint = route.map_or(SharedString::const_str("unknown"), |route| Arc::<str>::from(route).into());
    let mut of = vec![Label::from_static_parts("method", method), Label::new("endpoint", endpoint)];
    histogram!("http_request_duration_seconds", of.clone()).record(took.as_secs_f64());
    of.push(Label::new("status", status.as_str().to_owned()));
    counter!("http_requests_total", of).increment(1);
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
