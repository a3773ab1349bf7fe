//! The neighbor: a user who signs in, lists and submits tasks, and an orchestrator that probes readiness.

use std::fmt::Write;
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use sutazai_core::ports::{Clock, SystemClock};

use crate::support::{HANG_LIMIT, Server};

const PASSWORD: &str = "correct horse battery";
/// Interval between two requests of one kind.
const REQUEST_INTERVAL: Duration = Duration::from_millis(100);

/// User who behaves normally, from a separate address.
pub(crate) struct Neighbor {
    client: Client,
    root: String,
    token: String,
}

/// Response times by kind of request, and unexpected responses.
pub(crate) struct Waits(Vec<(&'static str, Vec<Duration>, Vec<String>)>);

impl Neighbor {
    pub(crate) async fn register(server: &Server) -> Self {
        let client = Client::builder().timeout(HANG_LIMIT).build().unwrap();
        let root = server.url("");
        // A second user does all the sign-ins, because the oldest of more than 50 sessions of a user is
        // ended.
        let mut tokens = Vec::new();
        for name in ["ada", "tom"] {
            let body =
                json!({ "username": name, "email": format!("{name}@example.org"), "password": PASSWORD });
            let answer =
                client.post(format!("{root}/api/v1/auth/register")).json(&body).send().await.unwrap();
            let answer: Value = answer.json().await.unwrap();
            tokens.push(answer["data"]["access_token"].as_str().unwrap().to_owned());
        }
        Self { client, root, token: tokens.remove(0) }
    }

    /// Sends four kinds of requests, each ten times per second.
    pub(crate) async fn live_for(&self, time: Duration) -> Waits {
        let login = json!({ "login": "tom", "password": PASSWORD });
        let task = json!({ "agent": "hardware-optimizer", "payload": { "use_model": false } });
        let nothing = Value::Null;
        let (ready, list, submit, sign_in) = tokio::join!(
            self.repeat(time, Method::GET, "/health/ready", &nothing, 200),
            self.repeat(time, Method::GET, "/api/v1/tasks", &nothing, 200),
            self.repeat(time, Method::POST, "/api/v1/tasks", &task, 202),
            self.repeat(time, Method::POST, "/api/v1/auth/login", &login, 200),
        );
        Waits(
            [("ready", ready), ("list", list), ("submit", submit), ("sign in", sign_in)]
                .into_iter()
                .map(|(name, (waits, wrong))| (name, waits, wrong))
                .collect(),
        )
    }

    async fn repeat(
        &self,
        time: Duration,
        method: Method,
        path: &str,
        body: &Value,
        expected: u16,
    ) -> (Vec<Duration>, Vec<String>) {
        let (begun, mut waits, mut wrong) = (Instant::now(), Vec::new(), Vec::new());
        while begun.elapsed() < time {
            let asked = Instant::now();
            let mut request = self.client.request(method.clone(), format!("{}{path}", self.root));
            // A sign-in has no token yet, and a probe never has one.
            if path.starts_with("/api/v1/tasks") {
                request = request.bearer_auth(&self.token);
            }
            if !body.is_null() {
                request = request.json(body);
            }
            match request.send().await {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    let text = answer.text().await.unwrap_or_default();
                    if status != expected {
                        wrong.push(format!("{status} {text}"));
                    }
                }
                Err(e) => wrong.push(format!("{e:?}")),
            }
            waits.push(asked.elapsed());
            SystemClock.sleep(REQUEST_INTERVAL).await;
        }
        (waits, wrong)
    }

    /// Waits until the neighbor's last task has ended, although another account has submitted thousands
    /// before it.
    pub(crate) async fn assert_served(&self) {
        let begun = Instant::now();
        loop {
            let url = format!("{}/api/v1/tasks?limit=1", self.root);
            let page = self.client.get(url).bearer_auth(&self.token).send().await.unwrap();
            let page: Value = page.json().await.unwrap();
            match page["data"]["items"][0]["status"].as_str() {
                Some("completed") => return,
                other => assert!(begun.elapsed() < HANG_LIMIT, "{other:?}"),
            }
            SystemClock.sleep(REQUEST_INTERVAL).await;
        }
    }
}

impl Waits {
    pub(crate) fn table(&self) -> String {
        let mut table =
            format!("{:<10} {:>8} {:>8} {:>8} {:>8}", "neighbor", "answers", "p50 ms", "p99 ms", "max ms");
        for (name, waits, _) in &self.0 {
            let [median, slow, slowest] = [0.5, 0.99, 1.0].map(|share| quantile(waits, share).as_millis());
            let _ = write!(table, "\n{name:<10} {:>8} {median:>8} {slow:>8} {slowest:>8}", waits.len());
        }
        table
    }

    pub(crate) fn assert_within(&self, limit: Duration) {
        for (name, waits, wrong) in &self.0 {
            assert!(wrong.is_empty(), "{name}: {} wrong answers, the first: {}", wrong.len(), wrong[0]);
            let slow = quantile(waits, 0.99);
            assert!(slow < limit, "{name}: 99 of 100 answers within {slow:?}");
        }
    }
}

/// Returns the quantile `share` of these durations.
fn quantile(waits: &[Duration], share: f64) -> Duration {
    let mut sorted = waits.to_vec();
    sorted.sort_unstable();
    let last = sorted.len() - 1;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let place = (last as f64 * share).floor() as usize;
    sorted[place]
}
