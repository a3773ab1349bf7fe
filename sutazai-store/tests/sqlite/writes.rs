//! Group commit: many concurrent writers, and failing writes among them.

use std::sync::Arc;

use serde_json::json;
use sutazai_core::ErrorKind;
use sutazai_core::domain::{NewTask, Task};
use sutazai_core::ports::{Clock, SystemClock, TaskStore, WakeUp};

use crate::place::Place;

fn task(n: u32) -> Task {
    Task::pending(NewTask::new("echo", json!({ "n": n })), None, None, SystemClock.now())
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_write_of_a_group_affects_no_other() {
    let place = Place::new();
    let store = place.open().await.tasks;
    let known = store.enqueue(vec![task(0)]).await.unwrap().remove(0);
    let mut wake_ups = store.subscribe();
    let writes = (1..=400).map(|n| {
        let (store, known) = (store.clone(), known.clone());
        // Every tenth batch has a new task and an existing one: neither may be stored.
        let batch = if n % 10 == 0 { vec![task(n), known] } else { vec![task(n)] };
        tokio::spawn(async move { (batch[0].id, store.enqueue(batch).await) })
    });
    let mut good = 0;
    for write in writes.collect::<Vec<_>>() {
        let (id, outcome) = write.await.unwrap();
        let kept = store.get(id).await.unwrap();
        match outcome {
            Ok(_) => {
                good += 1;
                assert!(kept.is_some(), "an acknowledged task must be stored");
            }
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::Conflict, "{e}");
                assert!(kept.is_none(), "a rejected task must not be stored");
            }
        }
    }
    assert_eq!(good, 360);
    let mut woken = 0;
    while let Ok(wake_up) = wake_ups.try_recv() {
        woken += u32::from(matches!(wake_up, WakeUp::Task(_)));
    }
    assert_eq!(woken, 360, "wake-ups must be those of committed writes");
}

#[tokio::test]
async fn acknowledged_task_outlives_the_store() {
    let place = Place::new();
    let task = place.open().await.tasks.enqueue(vec![task(7)]).await.unwrap().remove(0);
    let store: Arc<dyn TaskStore> = place.open().await.tasks;
    assert_eq!(store.get(task.id).await.unwrap(), Some(task));
}

#[test]
fn store_outlives_the_runtime_that_opened_it() {
    let place = Place::new();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime().block_on(place.open()).tasks;
    let task = runtime().block_on(store.enqueue(vec![task(1)])).unwrap().remove(0);
    assert_eq!(runtime().block_on(store.get(task.id)).unwrap(), Some(task));
}
