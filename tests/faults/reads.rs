//! Callers who read acknowledged tasks over HTTP, from whichever server, while plugs are pulled: what Redis remembers of a
//! task must never be anything else than what the task is.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use sutazai::domain::{TaskId, TaskStatus};

use crate::api::Api;
use crate::ledger::{Entry, Ledger};

/// So many of the latest tasks are read at the end.
const AT_THE_END: usize = 500;

#[derive(Debug)]
pub(crate) struct Reads {
    api: Arc<Api>,
    /// Of which it is known that they have ended.
    ended: Mutex<HashSet<TaskId>>,
    wrong: Mutex<Vec<String>>,
    count: AtomicU64,
}

impl Reads {
    pub(crate) fn new(api: Arc<Api>) -> Self {
        Self { api, ended: Mutex::default(), wrong: Mutex::default(), count: AtomicU64::default() }
    }

    /// How many answers came.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// What was answered that cannot be, a sentence each.
    pub(crate) fn wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap().clone()
    }

    /// Reads one task after the other.
    pub(crate) async fn go_on(self: Arc<Self>, ledger: Arc<Ledger>) {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if let Some(entry) = ledger.any() {
                self.read(&entry).await;
            }
        }
    }

    /// Reads the latest tasks, each from two servers, now that all have ended.
    pub(crate) async fn at_the_end(&self, ledger: &Ledger) {
        let begun = Instant::now();
        for entry in ledger.entries().iter().rev().take(AT_THE_END) {
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

    /// Whether there was an answer.
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
            let said = format!("{status}, {} with {}", task["status"], task["result"]);
            let sentence = format!("task {} should end {:?}, and was read: {said}", entry.id, entry.end());
            self.wrong.lock().unwrap().push(sentence);
        }
        true
    }
}
