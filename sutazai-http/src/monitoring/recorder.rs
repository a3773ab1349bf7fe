//! Recorder behind the `metrics` facade, with the description of each metric.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use sha2::{Digest, Sha256};
use sutazai_core::{Error, Result};

use super::{counts, disks, process};

/// Histogram buckets of requests in seconds: from a read in memory to the request timeout.
const REQUEST_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Histogram buckets of attempts in seconds: from an agent without a model to one that takes an hour.
const ATTEMPT_BUCKETS: &[f64] =
    &[0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];
/// Histogram buckets of the time to a model's first token in seconds.
const FIRST_TOKEN_BUCKETS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0];

/// Names and descriptions of the counters.
const COUNTERS: &[(&str, &str)] = &[
    ("http_requests_total", "Requests that were answered"),
    ("user_login_total", "Sign-in attempts"),
    ("hardware_analysis_requests_total", "Hardware analyses that were submitted"),
    ("tasks_total", "Transitions of tasks into a status, by agent"),
    ("model_requests_total", "Requests to language models that have ended"),
    ("model_process_crashes_total", "Unexpected exits of the child process of an embedded model"),
    ("model_tokens_total", "Tokens that language models read and wrote"),
    ("model_call_retries_total", "Calls of a model backend that were repeated after a transient error"),
];
/// Names, buckets and descriptions of the histograms; all are in seconds.
const HISTOGRAMS: &[(&str, &[f64], &str)] = &[
    (
        "http_request_duration_seconds",
        REQUEST_BUCKETS,
        "Time from a request to the head of its response, in seconds",
    ),
    ("task_duration_seconds", ATTEMPT_BUCKETS, "Duration of one attempt of a task, in seconds"),
    (
        "model_time_to_first_token_seconds",
        FIRST_TOKEN_BUCKETS,
        "Time from a request to a model to its first token, in seconds",
    ),
];
/// Names, units and descriptions of the gauges.
const GAUGES: &[(&str, Unit, &str)] = &[
    (
        "active_users_count",
        Unit::Count,
        "Users with a session that was used within the lifetime of an access token",
    ),
    ("cpu_usage_percent", Unit::Percent, "Busy time of all processors, 0 to 100"),
    ("memory_usage_percent", Unit::Percent, "Memory of the machine in use, 0 to 100"),
    ("task_queue_depth", Unit::Count, "Pending tasks that do not wait for other tasks"),
    ("task_queue_oldest_age_seconds", Unit::Seconds, "Time since the oldest due task became due, in seconds"),
    (
        "circuit_breaker_state",
        Unit::Count,
        "State of a model backend's circuit breaker: 0 closed, 1 half-open, 2 open",
    ),
    (
        "model_process_ready",
        Unit::Count,
        "State of the child process of an embedded model: 1 ready, 0 loading or restarting",
    ),
    ("argon2_queue_depth", Unit::Count, "Password hashes that wait for a processor core"),
];

/// Recorder of this process. There is only one, because the facade knows one, so all servers of a process share their
/// metrics.
static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// Metrics of this process, and the token that allows reading them.
#[derive(Debug, Clone)]
pub struct Monitoring {
    handle: PrometheusHandle,
    token: Option<Token>,
}

/// Digest of the token. Comparing digests takes a time that reveals nothing about the token.
#[derive(Clone, Copy)]
struct Token([u8; 32]);

impl Monitoring {
    /// Installs the recorder of this process; further calls return the same one.
    ///
    /// # Errors
    /// `Conflict` when the program has installed another recorder.
    pub fn install() -> Result<Self> {
        // Held until the recorder is installed, so that a concurrent call waits and finds it.
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = match &*installed {
            Some(handle) => handle.clone(),
            None => {
                let recorder = builder()?.build_recorder();
                let handle = recorder.handle();
                metrics::set_global_recorder(recorder)
                    .map_err(|_| Error::conflict("this process already has another metrics recorder"))?;
                describe();
                counts::begin();
                installed.insert(handle).clone()
            }
        };
        Ok(Self { handle, token: None })
    }

    /// Requires this bearer token from every reader. Without a token, only programs on this machine may read.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(Token::of(token));
        self
    }

    /// Moves recorded samples into the histograms. Must be called every [`UPKEEP`](Self::UPKEEP): otherwise samples
    /// accumulate until somebody reads.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// Interval at which [`upkeep`](Self::upkeep) must be called: 5 s.
    pub const UPKEEP: Duration = Duration::from_secs(5);

    /// Returns whether reading requires a token.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Returns whether this is the configured token.
    pub(crate) fn accepts(&self, token: &str) -> bool {
        self.token.is_some_and(|known| known.0 == Token::of(token).0)
    }

    /// Formats all metrics in the text format of Prometheus, version 0.0.4.
    pub(crate) fn render(&self) -> String {
        let mut text = self.handle.render();
        disks::write(&mut text);
        process::write(&mut text);
        text
    }
}

impl Token {
    fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(hidden)")
    }
}

fn builder() -> Result<PrometheusBuilder> {
    let mut builder = PrometheusBuilder::new();
    for (name, bounds, _) in HISTOGRAMS {
        builder = builder
            .set_buckets_for_metric(Matcher::Full((*name).to_owned()), bounds)
            .map_err(|e| Error::internal("the buckets of a histogram were rejected").with_source(e))?;
    }
    Ok(builder)
}

/// Registers the unit and the description of each metric.
fn describe() {
    for (name, meaning) in COUNTERS {
        describe_counter!(*name, Unit::Count, *meaning);
    }
    for (name, _, meaning) in HISTOGRAMS {
        describe_histogram!(*name, Unit::Seconds, *meaning);
    }
    for (name, unit, meaning) in GAUGES {
        describe_gauge!(*name, *unit, *meaning);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_compared_as_a_whole_and_hidden_in_debug() {
        let monitoring = Monitoring::install().unwrap().token("0123456789abcdef");
        assert!(monitoring.accepts("0123456789abcdef"));
        for other in ["", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef "] {
            assert!(!monitoring.accepts(other), "{other}");
        }
        assert!(!format!("{monitoring:?}").contains("0123456789abcdef"));
    }
}
