//! Ledger of the driver: the tasks that it submitted and a server acknowledged.
//!
//! A request whose response is lost is sent again with the same idempotency key, to any server, until one
//! answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use sutazai::domain::{TaskId, TaskStatus};

use crate::api::Api;
use crate::node::AGENT;

/// Number of concurrent callers.
const CALLER_COUNT: u64 = 8;
/// Number of the latest tasks from which every other read task is drawn.
const RECENT_TASKS: usize = 50;

/// Expected state of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) n: u64,
    pub(crate) id: TaskId,
    pub(crate) children: u64,
    pub(crate) doomed: bool,
}

impl Entry {
    /// Returns the idempotency key of the task in the database.
    pub(crate) fn key(n: u64) -> String {
        format!("entry-{n}")
    }

    /// Returns how it ends: its status, the square of its number, and the number of children whose results it
    /// got.
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
    /// Longest work of a task, in milliseconds.
    most_ms: u64,
    next: AtomicU64,
    /// Tasks that a server acknowledged.
    entries: Mutex<Vec<Entry>>,
}

impl Ledger {
    pub(crate) fn new(api: Arc<Api>, most_ms: u64) -> Self {
        Self { api, most_ms, next: AtomicU64::default(), entries: Mutex::default() }
    }

    /// Returns the tasks acknowledged so far.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    /// Returns the number of tasks acknowledged so far.
    pub(crate) fn count(&self) -> usize {
        self.entries.lock().unwrap().len()
    }

    /// Returns a random acknowledged task, usually a recent one.
    pub(crate) fn any(&self) -> Option<Entry> {
        let entries = self.entries.lock().unwrap();
        let begin = if rand::random() { entries.len().saturating_sub(RECENT_TASKS) } else { 0 };
        (!entries.is_empty()).then(|| entries[rand::random_range(begin..entries.len())].clone())
    }

    /// Submits `tasks` tasks, spread over `limit`.
    pub(crate) async fn submit(self: Arc<Self>, tasks: u64, limit: Duration) {
        let begun = Instant::now();
        let callers: Vec<_> =
            (0..CALLER_COUNT).map(|_| tokio::spawn(self.clone().call(tasks, begun, limit))).collect();
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
