//! Retention of ended tasks, and its effect on readers of the event log.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use serde_json::json;
use sutazai_core::ErrorKind;
use sutazai_core::domain::{EventOffset, NewTask, PageLimit, RetentionPolicy, TaskId, TaskQuery, TaskStatus};
use sutazai_core::memory::MemoryTaskStore;
use sutazai_core::ports::{Clock, EventLog};

use super::stage::{ME, Stage, settle};

const DAY: Duration = Duration::from_secs(86_400);

/// Advances the manual clock beyond the system clock, which task ids are generated with.
async fn advance_to_system_time(stage: &Stage) {
    let made = TaskId::new().0.get_timestamp().unwrap().to_unix().0;
    let ahead = made - stage.clock.now().timestamp().unsigned_abs() + 3_600;
    stage.clock.advance(Duration::from_secs(ahead));
    settle().await;
}

async fn left(stage: &Stage) -> usize {
    let query = TaskQuery { page: PageLimit::MAX.into(), ..TaskQuery::default() };
    stage.engine.tasks(&ME, query).await.unwrap().items.len()
}

#[tokio::test]
async fn ended_and_failed_tasks_are_removed_by_their_retention() {
    let keep = RetentionPolicy { ended: Some(DAY), failed: Some(3 * DAY) };
    let store = Arc::new(MemoryTaskStore::new());
    let stage = Stage::build(store.clone(), store, 2, |builder| builder.retention(keep));
    advance_to_system_time(&stage).await;
    stage.engine.start().await.unwrap();

    let many = vec![NewTask::new("actor", json!({})); 1_200];
    let last = stage.engine.submit_all_as(&ME, many).await.unwrap().pop().unwrap();
    let failed = stage.submit("refuse").await;
    stage.engine.wait(&ME, last.id).await.unwrap();
    assert_eq!(stage.until_ended(&failed).await.status, TaskStatus::Failed);
    let seen = stage.store.event_log_after(None, EventOffset(0), 5_000).await.unwrap().items;
    let (early, late) = (seen[100].position, seen.last().unwrap().position);

    let pass = async |of: Duration| {
        for _ in 0..of.as_secs() / 600 {
            stage.clock.advance(Duration::from_secs(600));
            settle().await;
        }
        // The pauses between the batches.
        for _ in 0..20 {
            stage.clock.advance(Duration::from_millis(50));
            settle().await;
        }
    };
    pass(DAY / 2).await;
    assert_eq!(left(&stage).await, 100, "nothing is old enough: a full page");
    assert_eq!(stage.store.event_log_begin().await.unwrap(), EventOffset(0));
    pass(DAY).await;
    assert_eq!(left(&stage).await, 1, "the dead letter");
    assert_eq!(stage.engine.task(&ME, last.id).await.unwrap_err().kind(), ErrorKind::NotFound);

    // A reader that continues before the removed events gets an error; others are not affected.
    let Err(gone) = stage.engine.event_log(&ME, Some(early)).await else {
        panic!("a gap that nobody told of")
    };
    assert_eq!((gone.kind(), gone.field()), (ErrorKind::Conflict, Some("after")), "{gone}");
    for after in [None, Some(EventOffset(0)), Some(late)] {
        assert!(stage.engine.event_log(&ME, after).await.is_ok(), "{after:?}");
    }
    let mut all = stage.engine.event_log(&ME, Some(EventOffset(0))).await.unwrap().events;
    assert_eq!(all.next().await.unwrap().unwrap().event.task_id, failed.id, "what is left is given");

    pass(2 * DAY).await;
    assert_eq!(left(&stage).await, 0);
    stage.shut_down(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn nothing_is_removed_without_a_policy() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    advance_to_system_time(&stage).await;
    let task = stage.submit("actor").await;
    stage.until_ended(&task).await;
    stage.clock.advance(20 * 365 * DAY);
    settle().await;
    assert_eq!(left(&stage).await, 1, "a task was removed");
    stage.shut_down(Duration::from_secs(1)).await;
}
