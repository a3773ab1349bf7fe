//! `GET /health/ready`: its checks, dependencies that hang, and details that must stay private.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Value, json};
use sutazai_core::domain::{Constraint, GenerateRequest, ModelInfo, SnapshotPart};
use sutazai_core::engine::{Engine, EngineBuilder};
use sutazai_core::memory::MemoryTaskStore;
use sutazai_core::ports::{Clock, MetricSource, ModelBackend, ModelStream, SystemClock};
use sutazai_core::testing::{MockModelBackend, MockTaskQueue, MockTaskRecords};
use sutazai_core::{Error, Result};
use sutazai_http::App;

use crate::support::HANG_LIMIT;
use crate::support::{Server, failure, success};

/// Dependency that never responds.
#[derive(Debug)]
struct Hanging;

#[async_trait]
impl ModelBackend for Hanging {
    fn name(&self) -> &str {
        "hanging"
    }

    fn supports(&self, _: &Constraint) -> bool {
        false
    }

    async fn models(&self) -> Result<Vec<ModelInfo>> {
        pending().await
    }

    async fn generate(&self, _: GenerateRequest) -> Result<ModelStream> {
        pending().await
    }
}

#[async_trait]
impl MetricSource for Hanging {
    fn name(&self) -> &str {
        "host"
    }

    async fn collect(&self) -> Result<SnapshotPart> {
        pending().await
    }
}

fn builder() -> EngineBuilder {
    Engine::builder().task_store(Arc::new(MemoryTaskStore::new()))
}

async fn server(engine: EngineBuilder) -> Server {
    Server::of_app(App::new(engine.build().unwrap())).await
}

/// Engine with this queue and these records.
fn over(queue: MockTaskQueue, records: MockTaskRecords) -> EngineBuilder {
    let builder = Engine::builder().task_store(Arc::new(MemoryTaskStore::new()));
    builder.task_queue(Arc::new(queue)).task_records(Arc::new(records))
}

/// Status of each check by name.
fn statuses(report: &Value) -> Value {
    let checks = report["checks"].as_array().unwrap().iter();
    checks.map(|check| (check["name"].as_str().unwrap().to_owned(), check["status"].clone())).collect()
}

#[tokio::test]
async fn unused_dependencies_are_not_checked() {
    let server = server(builder()).await;
    let answer = server.request(Method::GET, "/health/ready").send().await.unwrap();
    let report = success(answer, 200).await;
    assert_eq!(report["status"], "healthy");
    assert_eq!(statuses(&report), json!({ "database": "healthy" }));
    assert!(report["checks"][0]["duration_ms"].as_f64().unwrap() < 1_000.0, "{report}");
}

#[tokio::test]
async fn hanging_dependency_does_not_delay_the_report() {
    let server = server(builder().model(Arc::new(Hanging)).metric_source(Arc::new(Hanging))).await;
    let begun = Instant::now();
    let answer = server.request(Method::GET, "/health/ready").send().await.unwrap();
    assert!(begun.elapsed() < HANG_LIMIT, "{:?}", begun.elapsed());
    let report = success(answer, 200).await;
    assert_eq!(report["status"], "degraded");
    let expected =
        json!({ "database": "healthy", "model": "degraded", "disk": "degraded", "memory": "degraded" });
    assert_eq!(statuses(&report), expected);
    assert_eq!(report["checks"][1]["reason"], "did not answer in time");
}

#[tokio::test]
async fn unavailable_database_is_unhealthy_and_its_address_hidden() {
    let mut records = MockTaskRecords::new();
    let away = || Error::unavailable("cannot connect to postgres://db.internal:5432");
    records.expect_get().returning(move |_| Err(away()));
    let mut model = MockModelBackend::new();
    model.expect_slots().return_const(None);
    model.expect_models().returning(|| Err(Error::unavailable("no answer from http://10.0.0.7:11434")));
    let engine = over(MockTaskQueue::new(), records).model(Arc::new(model));
    let server = server(engine).await;
    let answer = server.request(Method::GET, "/health/ready").send().await.unwrap();
    let error = failure(answer, 503, "unavailable").await;
    assert_eq!(error["details"]["status"], "unhealthy");
    assert_eq!(statuses(&error["details"]), json!({ "database": "unhealthy", "model": "degraded" }));
    assert!(!error.to_string().contains("internal") && !error.to_string().contains("10.0.0.7"), "{error}");
    let alive = server.request(Method::GET, "/health").send().await.unwrap();
    success(alive, 200).await;
}

#[tokio::test]
async fn concurrent_readiness_requests_share_one_check() {
    let mut records = MockTaskRecords::new();
    records.expect_get().times(1).returning(|_| Ok(None));
    let server = server(over(MockTaskQueue::new(), records)).await;
    let asked = (0..20).map(|_| server.request(Method::GET, "/health/ready").send());
    for answer in futures::future::join_all(asked).await {
        success(answer.unwrap(), 200).await;
    }
}

#[tokio::test]
async fn server_without_workers_reports_unclaimed_tasks() {
    for (seconds, status, reason) in
        [(59, "healthy", Value::Null), (61, "degraded", json!("a task has waited for over a minute"))]
    {
        let mut records = MockTaskRecords::new();
        records.expect_get().returning(|_| Ok(None));
        let due = SystemClock.now() - Duration::from_secs(seconds);
        let mut queue = MockTaskQueue::new();
        queue.expect_next_due().returning(move |_| Ok(Some(due)));
        let server = server(over(queue, records).workers(0)).await;
        let answer = server.request(Method::GET, "/health/ready").send().await.unwrap();
        let report = success(answer, 200).await;
        assert_eq!(statuses(&report), json!({ "database": "healthy", "workers": status }));
        assert_eq!(report["checks"][1]["reason"], reason);
    }
}
