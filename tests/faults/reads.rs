//! Callers that read acknowledged tasks over HTTP, from any server, while faults are injected: a cached
//! result must never differ from the task.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use sutazai::domain::{TaskId, TaskStatus};

use crate::api::Api;
use crate::ledger::{Entry, Ledger};

/// Number of the latest tasks that are read at the end.
const FINAL_READS: usize = 500;

#[derive(Debug)]
pub(crate) struct Reads {
    api: Arc<Api>,
    /// Tasks that are known to have ended.
    ended: Mutex<HashSet<TaskId>>,
    wrong: Mutex<Vec<String>>,
    count: AtomicU64,
}

impl Reads {
    pub(crate) fn new(api: Arc<Api>) -> Self {
        Self { api, ended: Mutex::default(), wrong: Mutex::default(), count: AtomicU64::default() }
    }

    /// Returns the number of responses.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns the impossible responses, one sentence each.
    pub(crate) fn wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap().clone()
    }

    /// Reads one task after the other until it is aborted.
    pub(crate) async fn go_on(self: Arc<Self>, ledger: Arc<Ledger>) {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if let Some(entry) = ledger.any() {
                self.read(&entry).await;
            }
        }
    }

    /// Reads the latest tasks, each from two servers, after all have ended.
    pub(crate) async fn at_the_end(&self, ledger: &Ledger) {
        let begun = Instant::now();
        for entry in ledger.entries().iter().rev().take(FINAL_READS) {
            self.ended.lock().unwrap().insert(entry.id);
            let mut answers = 0;
            while answers < 2 && begun.elapsed() < Duration::from_secs(60) {
                answers += u32::from(self.read(entry).await);
            }
            if answers < 2 {
                self.wrong.lock().unwrap().push(format!("task {} cannot be read", entry.id));
                return;
            }
        }
    }

    /// Reads a task and checks the response; returns whether there was one.
    async fn read(&self, entry: &Entry) -> bool {
        let known = self.ended.lock().unwrap().contains(&entry.id);
        let Some((status, answer)) = self.api.get(&format!("tasks/{}", entry.id)).await else { return false };
        self.count.fetch_add(1, Ordering::Relaxed);
        let task = &answer["data"];
        let there: Option<TaskStatus> = task["status"].as_str().and_then(|status| status.parse().ok());
        let wrong = match there {
            Some(there) if there.has_ended() => {
                self.ended.lock().unwrap().insert(entry.id);
                let result = &task["result"];
                (there, result["square"].as_u64(), result["children"].as_u64()) != entry.end()
            }
            Some(_) => known,
            None => true,
        };
        if wrong || status != StatusCode::OK {
            let response = format!("{status}, {} with {}", task["status"], task["result"]);
            let difference =
                format!("task {} should end {:?}, but was read: {response}", entry.id, entry.end());
            self.wrong.lock().unwrap().push(difference);
        }
        true
    }
}
