//! The recorder behind the `metrics` facade, and what it says of each metric.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use sha2::{Digest, Sha256};
use sutazai_core::{Error, Result};

use super::{counts, disks, process};

/// Bounds in seconds for answers: from a read in memory to the time limit of a request.
const ANSWERS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Bounds in seconds for attempts: from an agent without a model to one that takes an hour.
const ATTEMPTS: &[f64] =
    &[0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];
/// Bounds in seconds for the first word of a model.
const FIRST_TOKENS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0];

/// What is counted.
const COUNTERS: &[(&str, &str)] = &[
    ("http_requests_total", "Requests that were answered"),
    ("user_login_total", "Attempts to sign in"),
    ("hardware_analysis_requests_total", "Analyses of the machine that were asked for"),
    ("tasks_total", "How often a task of an agent entered a status"),
    ("model_requests_total", "Requests to language models that have ended"),
    ("model_process_crashes_total", "Unexpected ends of the child process of an embedded model"),
    ("model_tokens_total", "Tokens that language models read and wrote"),
    ("model_call_retries_total", "Calls of a model backend that were repeated after a passing error"),
];
/// What takes time, in seconds, with the bounds that are counted between.
const HISTOGRAMS: &[(&str, &[f64], &str)] = &[
    ("http_request_duration_seconds", ANSWERS, "Time from a request to the head of its answer, in seconds"),
    ("task_duration_seconds", ATTEMPTS, "Time that one attempt at a task ran, in seconds"),
    (
        "model_time_to_first_token_seconds",
        FIRST_TOKENS,
        "Time from a request to a model to its first word, in seconds",
    ),
];
/// What goes up and down.
const GAUGES: &[(&str, Unit, &str)] = &[
    ("active_users_count", Unit::Count, "Users with a session that was used of late"),
    ("cpu_usage_percent", Unit::Percent, "Busy time of all processors, 0 to 100"),
    ("memory_usage_percent", Unit::Percent, "Memory of the machine in use, 0 to 100"),
    ("task_queue_depth", Unit::Count, "Tasks that are pending"),
    (
        "task_queue_oldest_age_seconds",
        Unit::Seconds,
        "How long the oldest pending task has been due, in seconds",
    ),
    ("circuit_breaker_state", Unit::Count, "Calls go to a model backend: 0 yes, 1 one call tries, 2 no"),
    (
        "model_process_ready",
        Unit::Count,
        "Child process of an embedded model: 1 serves requests, 0 loads or restarts",
    ),
    ("argon2_queue_depth", Unit::Count, "Password hashes that wait for a processor"),
];

/// One a process: the facade knows one recorder, and all servers of a process share its figures.
static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// The figures of this process, and who may read them.
#[derive(Debug, Clone)]
pub struct Monitoring {
    handle: PrometheusHandle,
    token: Option<Token>,
}

/// The digest of the token: two of them are compared in a time that tells nothing about either.
#[derive(Clone, Copy)]
struct Token([u8; 32]);

impl Monitoring {
    /// Becomes the recorder of this process; a second call gives the same one.
    ///
    /// # Errors
    /// `Conflict` when the program has installed another recorder.
    pub fn install() -> Result<Self> {
        // Held until it is installed: whoever comes at the same moment shall find it.
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = match &*installed {
            Some(handle) => handle.clone(),
            None => {
                let recorder = builder()?.build_recorder();
                let handle = recorder.handle();
                metrics::set_global_recorder(recorder)
                    .map_err(|_| Error::conflict("this process has another recorder of metrics already"))?;
                describe();
                counts::begin();
                installed.insert(handle).clone()
            }
        };
        Ok(Self { handle, token: None })
    }

    /// Lets only those read who bear this token, wherever they are. Without, only programs on this machine may.
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(Token::of(token));
        self
    }

    /// Folds what was recorded into the histograms. To be called every few seconds: what nobody reads would pile up.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// How often [`upkeep`](Self::upkeep) is due.
    pub const UPKEEP: Duration = Duration::from_secs(5);

    /// Whether there is a token.
    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether this is the token.
    pub(crate) fn accepts(&self, token: &str) -> bool {
        self.token.is_some_and(|known| known.0 == Token::of(token).0)
    }

    /// Everything, in the text format of Prometheus, version 0.0.4.
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
            .map_err(|e| Error::internal("the bounds of a histogram are not accepted").with_source(e))?;
    }
    Ok(builder)
}

/// Says of each metric what it is and in which unit.
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
    fn a_token_is_known_by_its_whole_text_and_not_shown() {
        let monitoring = Monitoring::install().unwrap().token("0123456789abcdef");
        assert!(monitoring.accepts("0123456789abcdef"));
        for other in ["", "0123456789abcde", "0123456789abcdeF", "0123456789abcdef "] {
            assert!(!monitoring.accepts(other), "{other}");
        }
        assert!(!format!("{monitoring:?}").contains("0123456789abcdef"));
    }
}
