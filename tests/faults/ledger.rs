//! The driver's own book: what it submitted, and which of it a server acknowledged.
//!
//! A request whose answer is lost is sent again with the same idempotency key, to whichever server, until one answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use sutazai::domain::{TaskId, TaskStatus};

use crate::api::Api;
use crate::node::AGENT;

/// So many callers at once.
const CALLERS: u64 = 8;
/// Among so many of the latest every other one that is read again is.
const LATEST: usize = 50;

/// What is expected of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) n: u64,
    pub(crate) id: TaskId,
    pub(crate) children: u64,
    pub(crate) doomed: bool,
}

impl Entry {
    /// The key that the task has in the database.
    pub(crate) fn key(n: u64) -> String {
        format!("entry-{n}")
    }

    /// How it ends: its status, the square of its number, and how many children it heard of.
    pub(crate) fn end(&self) -> (TaskStatus, Option<u64>, Option<u64>) {
        if self.doomed {
            (TaskStatus::Failed, None, None)
        } else {
            (TaskStatus::Completed, Some(self.n * self.n), Some(self.children))
        }
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
    api: Arc<Api>,
    /// No task takes longer, in milliseconds.
    most_ms: u64,
    next: AtomicU64,
    /// What was acknowledged.
    entries: Mutex<Vec<Entry>>,
}

impl Ledger {
    pub(crate) fn new(api: Arc<Api>, most_ms: u64) -> Self {
        Self { api, most_ms, next: AtomicU64::default(), entries: Mutex::default() }
    }

    /// What was acknowledged so far.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    /// How many were acknowledged so far.
    pub(crate) fn count(&self) -> usize {
        self.entries.lock().unwrap().len()
    }

    /// One that was acknowledged, mostly a late one.
    pub(crate) fn any(&self) -> Option<Entry> {
        let entries = self.entries.lock().unwrap();
        let begin = if rand::random() { entries.len().saturating_sub(LATEST) } else { 0 };
        (!entries.is_empty()).then(|| entries[rand::random_range(begin..entries.len())].clone())
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
            let answer = self.api.insist("tasks", &body, Some(&Entry::key(n)), &[StatusCode::ACCEPTED]).await;
            let id = answer["data"]["id"].as_str().unwrap().parse().unwrap();
            let entry = Entry { n, id, children: Entry::children_of(n), doomed: Entry::is_doomed(n) };
            self.entries.lock().unwrap().push(entry);
        }
    }
}
