//! Shared cache of ended tasks, and independence from it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sutazai_core::domain::{NewTask, TaskStatus};
use sutazai_core::engine::Engine;
use sutazai_core::memory::{MemoryCache, MemoryTaskStore};
use sutazai_core::ports::{Cache, TaskRecords};
use sutazai_core::testing::{ManualClock, MockCache};
use sutazai_core::{Error, ErrorKind};

use super::actor::Actor;
use super::stage::ME;

fn engine(store: &Arc<MemoryTaskStore>, cache: Arc<dyn Cache>, workers: usize) -> Engine {
    let builder = Engine::builder().task_store(store.clone()).cache(cache).workers(workers);
    builder.agent(Arc::new(Actor::default())).build().unwrap()
}

#[tokio::test]
async fn ended_task_is_cached_until_it_changes() {
    let (store, clock) = (Arc::new(MemoryTaskStore::new()), Arc::new(ManualClock::new()));
    let cache = Arc::new(MemoryCache::new(clock.clone()));
    let (one, two) = (engine(&store, cache.clone(), 0), engine(&store, cache.clone(), 1));
    two.start().await.unwrap();
    let mut ended = Vec::new();
    for what in ["finish", "finish", "refuse"] {
        let task = one.submit_as(&ME, NewTask::new("actor", json!({ "do": what }))).await.unwrap();
        ended.push(one.wait(&ME, task.id).await.unwrap());
        assert_eq!(one.task(&ME, task.id).await.unwrap(), *ended.last().unwrap());
    }
    two.shutdown_within(Duration::ZERO).await.unwrap();

    // Deleted behind the engines' back, so the cached copy is returned.
    store.delete(ended[0].id).await.unwrap();
    assert_eq!(two.task(&ME, ended[0].id).await.unwrap(), ended[0]);
    clock.advance(Duration::from_secs(301));
    assert_eq!(two.task(&ME, ended[0].id).await.unwrap_err().kind(), ErrorKind::NotFound);

    one.task(&ME, ended[1].id).await.unwrap();
    two.delete(&ME, ended[1].id).await.unwrap();
    assert_eq!(one.task(&ME, ended[1].id).await.unwrap_err().kind(), ErrorKind::NotFound);

    assert_eq!(one.task(&ME, ended[2].id).await.unwrap().status, TaskStatus::Failed);
    two.retry(&ME, ended[2].id).await.unwrap();
    assert_eq!(one.task(&ME, ended[2].id).await.unwrap().status, TaskStatus::Pending);
    // A reader that is late with its outdated copy does not restore it.
    let late = serde_json::to_string(&ended[2]).unwrap();
    cache.add(&format!("task:result:{}", ended[2].id), &late, Duration::from_secs(300)).await.unwrap();
    assert_eq!(one.task(&ME, ended[2].id).await.unwrap().status, TaskStatus::Pending);
}

#[tokio::test]
async fn unreachable_or_invalid_cache_is_ignored() {
    let mut away = MockCache::new();
    away.expect_get().returning(|_| Err(Error::unavailable("away")));
    away.expect_put().returning(|_, _, _| Err(Error::unavailable("away")));
    away.expect_add().returning(|_, _, _| Err(Error::unavailable("away")));
    let mut odd = MockCache::new();
    odd.expect_get().returning(|_| Ok(Some("{\"id\":".into())));
    odd.expect_put().returning(|_, _, _| Ok(()));
    for cache in [away, odd] {
        let store = Arc::new(MemoryTaskStore::new());
        let engine = engine(&store, Arc::new(cache), 1);
        engine.start().await.unwrap();
        let task = engine.submit_as(&ME, NewTask::new("actor", json!({ "do": "refuse" }))).await.unwrap();
        assert_eq!(engine.wait(&ME, task.id).await.unwrap().status, TaskStatus::Failed);
        assert_eq!(engine.task(&ME, task.id).await.unwrap().status, TaskStatus::Failed);
        engine.retry(&ME, task.id).await.unwrap();
        engine.wait(&ME, task.id).await.unwrap();
        engine.delete(&ME, task.id).await.unwrap();
        engine.shutdown_within(Duration::ZERO).await.unwrap();
    }
}
