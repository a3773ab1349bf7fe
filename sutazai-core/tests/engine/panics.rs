//! Panics in the engine or in a port: what was held is released, and everything else continues.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sutazai_core::domain::{TaskStatus, TraceContext};
use sutazai_core::memory::MemoryTaskStore;
use sutazai_core::ports::{Clock, Tracer};
use tracing::Span;

use super::faulty_task_store::FaultyTaskStore;
use super::stage::{ME, Stage, settle};

/// Panics as often as configured.
#[derive(Debug)]
struct PanickingTracer(AtomicU32);

impl Tracer for PanickingTracer {
    fn start(&self, span: &Span, parent: &TraceContext) -> TraceContext {
        let is_attempt = span.metadata().is_none_or(|metadata| metadata.name() == "task");
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(!is_attempt || left.is_err(), "a broken tracer");
        parent.clone()
    }
}

#[tokio::test]
async fn claim_of_a_worker_that_panics_is_released() {
    let store = Arc::new(MemoryTaskStore::new());
    let tracer = Arc::new(PanickingTracer(AtomicU32::new(0)));
    let stage = Stage::build(store.clone(), store, 1, |builder| builder.tracer(tracer.clone()));
    let task = stage.submit("finish").await;
    tracer.0.store(1, Ordering::SeqCst);
    stage.engine.start().await.unwrap();
    let ended = stage.until_ended(&task).await;
    assert_eq!((ended.status, ended.failures, ended.attempt), (TaskStatus::Completed, 1, 2));
    stage.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn retry_after_of_an_error_is_at_most_one_hour() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let task = stage.submit("wait-for-ever").await;
    while stage.engine.task(&ME, task.id).await.unwrap().failures == 0 {
        settle().await;
    }
    let waiting = stage.engine.task(&ME, task.id).await.unwrap();
    let wait = waiting.run_at - stage.clock.now();
    assert_eq!((waiting.status, wait.num_seconds()), (TaskStatus::Pending, 3_600));
    let cancelled = stage.engine.cancel(&ME, task.id).await.unwrap();
    assert_eq!(cancelled.status, TaskStatus::Cancelled);
    stage.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn panics_of_the_store_do_not_stop_the_engine() {
    let store = Arc::new(MemoryTaskStore::new());
    let faulty = FaultyTaskStore::new(store.clone(), 0);
    let stage = Stage::over(store, faulty.clone(), 2);
    stage.engine.start().await.unwrap();
    for what in ["talk", "finish", "fail-twice"] {
        faulty.panics.store(3, Ordering::SeqCst);
        let task = stage.submit(what).await;
        let ended = stage.until_ended(&task).await;
        assert_eq!(ended.status, TaskStatus::Completed, "{what}: {ended:?}");
    }
    stage.shut_down(Duration::ZERO).await;
}
