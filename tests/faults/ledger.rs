//! The driver's own book: what it submitted, and which of it a server acknowledged.
//!
//! A request whose answer is lost is sent again with the same idempotency key, to whichever server, until one answers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::node::AGENT;

/// So many callers at once.
const CALLERS: u64 = 8;
const PASSWORD: &str = "correct horse battery";

/// What is expected of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) n: u64,
    pub(crate) id: String,
    pub(crate) children: u64,
    pub(crate) doomed: bool,
}

impl Entry {
    /// The key that the task has in the database.
    pub(crate) fn key(n: u64) -> String {
        format!("entry-{n}")
    }

    fn payload(n: u64, most_ms: u64) -> Value {
        let mut payload = json!({ "n": n, "work_ms": n * 7 % most_ms });
        if n % 23 == 5 {
            payload["fail"] = json!(1);
        }
        if Self::is_doomed(n) {
            payload["doomed"] = json!(true);
        }
        if Self::children_of(n) > 0 {
            payload["children"] = json!(Self::children_of(n));
        }
        payload
    }

    fn is_doomed(n: u64) -> bool {
        n % 97 == 11
    }

    fn children_of(n: u64) -> u64 {
        if n % 31 == 7 { 3 } else { 0 }
    }
}

#[derive(Debug)]
pub(crate) struct Ledger {
    client: Client,
    /// No task takes longer, in milliseconds.
    most_ms: u64,
    servers: Vec<SocketAddr>,
    next_server: AtomicUsize,
    token: Mutex<String>,
    next: AtomicU64,
    /// What was acknowledged.
    entries: Mutex<Vec<Entry>>,
    again: AtomicU64,
}

impl Ledger {
    pub(crate) fn new(servers: Vec<SocketAddr>, most_ms: u64) -> Self {
        let client = Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
        Self {
            client,
            most_ms,
            servers,
            next_server: AtomicUsize::default(),
            token: Mutex::default(),
            next: AtomicU64::default(),
            entries: Mutex::default(),
            again: AtomicU64::default(),
        }
    }

    /// What was acknowledged so far.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    /// How many were acknowledged, and how many requests had to be sent again.
    pub(crate) fn counts(&self) -> (usize, u64) {
        (self.entries.lock().unwrap().len(), self.again.load(Ordering::Relaxed))
    }

    /// Makes the user whose tasks these are.
    pub(crate) async fn sign_up(&self) {
        let new = json!({ "username": "driver", "email": "driver@localhost", "password": PASSWORD });
        // 409: an answer was lost, and the user is there.
        let wanted = [StatusCode::CREATED, StatusCode::CONFLICT];
        self.insist("auth/register", &new, None, &wanted).await;
        self.sign_in().await;
    }

    async fn sign_in(&self) {
        let body = json!({ "login": "driver", "password": PASSWORD });
        let answer = self.insist("auth/login", &body, None, &[StatusCode::OK]).await;
        *self.token.lock().unwrap() = answer["data"]["access_token"].as_str().unwrap().to_owned();
    }

    /// Submits so many tasks, spread over the time.
    pub(crate) async fn submit(self: Arc<Self>, tasks: u64, limit: Duration) {
        let begun = Instant::now();
        let callers: Vec<_> =
            (0..CALLERS).map(|_| tokio::spawn(self.clone().call(tasks, begun, limit))).collect();
        for caller in callers {
            caller.await.unwrap();
        }
    }

    async fn call(self: Arc<Self>, tasks: u64, begun: Instant, limit: Duration) {
        loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            if n >= tasks {
                return;
            }
            let due = limit.mul_f64(n as f64 / tasks as f64);
            tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
            let body =
                json!({ "agent": AGENT, "payload": Entry::payload(n, self.most_ms), "max_attempts": 100 });
            let answer = self.insist("tasks", &body, Some(&Entry::key(n)), &[StatusCode::ACCEPTED]).await;
            let id = answer["data"]["id"].as_str().unwrap().to_owned();
            let entry = Entry { n, id, children: Entry::children_of(n), doomed: Entry::is_doomed(n) };
            self.entries.lock().unwrap().push(entry);
        }
    }

    /// Sends a request until it has one of these answers. What no trouble of the servers explains ends the run.
    async fn insist(&self, path: &str, body: &Value, key: Option<&str>, wanted: &[StatusCode]) -> Value {
        loop {
            let server = self.servers[self.next_server.fetch_add(1, Ordering::Relaxed) % self.servers.len()];
            let mut request = self.client.post(format!("http://{server}/api/v1/{path}")).json(body);
            if let Some(key) = key {
                let token = self.token.lock().unwrap().clone();
                request = request.bearer_auth(token).header("Idempotency-Key", key);
            }
            if let Ok(response) = request.send().await {
                let status = response.status();
                let text = response.text().await;
                if wanted.contains(&status) {
                    if let Some(answer) = text.ok().and_then(|text| serde_json::from_str(&text).ok()) {
                        return answer;
                    }
                } else if status == StatusCode::UNAUTHORIZED && key.is_some() {
                    Box::pin(self.sign_in()).await;
                } else {
                    let passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
                    assert!(passing, "{path} was answered {status}: {text:?}");
                }
            }
            self.again.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
