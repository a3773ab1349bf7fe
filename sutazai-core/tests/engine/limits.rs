//! Concurrency limits and fairness, as seen through an engine.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sutazai_core::ErrorKind;
use sutazai_core::domain::TaskStatus::{Cancelled, Completed, Pending, Processing};
use sutazai_core::domain::{Caller, ConcurrencyLimits, NewTask, UserId, UserRole};
use sutazai_core::engine::{Engine, EngineBuilder};
use sutazai_core::memory::MemoryTaskStore;

use super::actor::Actor;
use super::stage::{ME, Stage, settle};

fn limited(workers: usize, limits: ConcurrencyLimits) -> Stage {
    let store = Arc::new(MemoryTaskStore::new());
    Stage::build(store.clone(), store, workers, |builder: EngineBuilder| builder.limits(limits))
}

#[tokio::test]
async fn task_held_back_by_a_limit_starts_when_capacity_is_freed() {
    let limits = ConcurrencyLimits { per_agent: [("actor".to_owned(), 2)].into(), ..Default::default() };
    let stage = limited(8, limits);
    let hang = NewTask::new("actor", json!({ "do": "hang" }));
    let tasks = stage.engine.submit_all_as(&ME, vec![hang; 5]).await.unwrap();
    stage.engine.start().await.unwrap();
    settle().await;
    for left in (0..5).rev() {
        // The clock does not advance, so no poll can help.
        assert_eq!(stage.in_status(&tasks, Processing).await, 2.min(left + 1));
        assert_eq!(stage.in_status(&tasks, Pending).await, (left + 1_usize).saturating_sub(2));
        let running = tasks[4 - left].id;
        stage.engine.cancel(&ME, running).await.unwrap();
        stage.engine.wait(&ME, running).await.unwrap();
        settle().await;
    }
    stage.shut_down(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn many_tasks_of_one_user_do_not_delay_another_user() {
    let stage = Stage::new(2);
    let [ada, eve] = [(); 2].map(|()| Caller::User { id: UserId::new(), role: UserRole::User });
    let many = vec![NewTask::new("actor", json!({ "do": "hang" })); 1_000];
    let many = stage.engine.submit_all_as(&ada, many).await.unwrap();
    let one = stage.engine.submit_as(&eve, NewTask::new("actor", json!({}))).await.unwrap();
    stage.engine.start().await.unwrap();
    stage.engine.wait(&eve, one.id).await.unwrap();
    // Prefetched claims are released.
    while stage.in_status(&many, Processing).await != 2 {
        settle().await;
        stage.clock.advance(Duration::from_millis(500));
    }
    let late = stage.engine.submit_as(&eve, NewTask::new("actor", json!({}))).await.unwrap();
    settle().await;
    for task in &many {
        if stage.engine.task(&ada, task.id).await.unwrap().status == Processing {
            stage.engine.cancel(&ada, task.id).await.unwrap();
            break;
        }
    }
    assert_eq!(stage.until_ended(&late).await.status, Completed);
    assert_eq!(stage.in_status(&many, Cancelled).await, 1, "one of the running ones had to end");
    stage.shut_down(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn invalid_limits_are_refused() {
    let build = |limits| {
        let store = Arc::new(MemoryTaskStore::new());
        let builder = Engine::builder().task_store(store).agent(Arc::new(Actor::default())).limits(limits);
        builder.build().map(|_| ()).unwrap_err()
    };
    let per_agent = |name: &str, most| ConcurrencyLimits {
        per_agent: [(name.to_owned(), most)].into(),
        ..Default::default()
    };
    for (limits, field) in [
        (ConcurrencyLimits { per_owner: Some(0), ..Default::default() }, "per_owner"),
        (per_agent("actor", 0), "actor"),
        (per_agent("nobody", 1), "per_agent"),
    ] {
        let error = build(limits);
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidInput, Some(field)), "{error}");
    }
}
