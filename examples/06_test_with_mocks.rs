//! Tests the code of an embedder: with mocks of the ports and a clock that is advanced by hand.
//!
//! Run the test: `cargo test --features test-util --example 06_test_with_mocks`

#![allow(clippy::print_stdout)] // an example prints what it does

use std::sync::Arc;

use sutazai::domain::{NewTask, Task};
use sutazai::ports::{Clock, TaskQueue};
use sutazai::{Error, Result};

/// Code of the embedder: submits a nightly analysis, at most once a day.
#[derive(Debug)]
pub struct NightWatch {
    queue: Arc<dyn TaskQueue>,
    clock: Arc<dyn Clock>,
}

impl NightWatch {
    /// Submits the analysis of today; the idempotency key contains the date, so a second call returns the
    /// same task.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn tonight(&self) -> Result<Task> {
        let now = self.clock.now();
        let mut new = NewTask::new("hardware-optimizer", serde_json::json!({ "use_model": false }));
        new.idempotency_key = Some(format!("night-watch-{}", now.format("%Y-%m-%d")));
        let stored = self.queue.enqueue(vec![Task::pending(new, None, None, now)]).await?;
        stored.into_iter().next().ok_or_else(|| Error::internal("the store returned no task"))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let queue = Arc::new(sutazai::memory::MemoryTaskStore::new());
    let watch = NightWatch { queue, clock: Arc::new(sutazai::ports::SystemClock) };
    let (first, second) = (watch.tonight().await?, watch.tonight().await?);
    println!("two calls, one task: {}", first.id == second.id);
    Ok(())
}

#[cfg(test)]
mod tests {
    use sutazai::testing::{ManualClock, MockTaskQueue};

    use super::*;

    #[tokio::test]
    async fn idempotency_key_contains_the_date() {
        let mut queue = MockTaskQueue::new();
        queue
            .expect_enqueue()
            .withf(|tasks| tasks[0].idempotency_key.as_deref() == Some("night-watch-2026-01-01"))
            .times(1)
            .returning(Ok);
        let watch = NightWatch { queue: Arc::new(queue), clock: Arc::new(ManualClock::new()) };
        assert_eq!(watch.tonight().await.unwrap().agent, "hardware-optimizer");
    }

    #[tokio::test]
    async fn unavailable_store_is_reported() {
        let mut queue = MockTaskQueue::new();
        queue.expect_enqueue().returning(|_| Err(Error::unavailable("no disk")));
        let watch = NightWatch { queue: Arc::new(queue), clock: Arc::new(ManualClock::new()) };
        assert_eq!(watch.tonight().await.unwrap_err().to_string(), "no disk");
    }
}
