//! Stream of snapshots: one measurement for all listeners, none without any, and the limits of streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use sutazai_core::Result;
use sutazai_core::domain::SnapshotPart;
use sutazai_core::engine::Engine;
use sutazai_core::ports::{Clock, MetricSource, SystemClock};
use sutazai_core::testing::ManualClock;
use sutazai_http::{App, SecuritySettings, ServerConfig};

use crate::support::{EventReader, HANG_LIMIT, Server, failure, success};

const PATH: &str = "/api/v1/system/metrics/stream";

/// Source that measures how often it was asked.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

#[async_trait]
impl MetricSource for Counter {
    fn name(&self) -> &str {
        "count"
    }

    async fn collect(&self) -> Result<SnapshotPart> {
        let count = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(SnapshotPart::Custom("count".into(), json!(count)))
    }
}

struct Place {
    server: Server,
    clock: Arc<ManualClock>,
    counter: Arc<Counter>,
}

async fn place() -> Place {
    let (clock, counter) = (Arc::new(ManualClock::new()), Arc::new(Counter::default()));
    let engine = Engine::builder().clock(clock.clone()).metric_source(counter.clone());
    let server = Server::of_app(App::new(engine.build().unwrap())).await;
    Place { server, clock, counter }
}

impl Place {
    async fn listen(&self) -> EventReader {
        EventReader::new(self.server.client.get(self.server.url(PATH)).send().await.unwrap())
    }

    /// Lets time pass in small steps until the machine is measured once more.
    async fn tick(&self) {
        let before = self.counter.0.load(Ordering::SeqCst);
        let measured = async {
            while self.counter.0.load(Ordering::SeqCst) == before {
                self.clock.advance(Duration::from_millis(100));
                SystemClock.sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(HANG_LIMIT, measured).await.unwrap();
    }
}

async fn count(reader: &mut EventReader) -> Value {
    let event = reader.next().await.unwrap();
    assert_eq!(event.name, "snapshot");
    assert!(event.data["taken_at"].is_string() && event.data["host"]["status"] == "missing", "{event:?}");
    event.data["custom"]["count"]["value"].clone()
}

#[tokio::test]
async fn all_listeners_share_one_measurement() {
    let place = place().await;
    let (mut one, mut two) = (place.listen().await, place.listen().await);
    assert_eq!((count(&mut one).await, count(&mut two).await), (json!(1), json!(1)), "at once");
    place.tick().await;
    assert_eq!((count(&mut one).await, count(&mut two).await), (json!(2), json!(2)));
    let mut late = place.listen().await;
    assert_eq!(count(&mut late).await, json!(2), "a new listener begins with the latest snapshot");
    drop(one);
    place.tick().await;
    assert_eq!((count(&mut two).await, count(&mut late).await), (json!(3), json!(3)));
}

#[tokio::test]
async fn measuring_ends_with_the_last_listener_and_begins_again() {
    let place = place().await;
    let mut reader = place.listen().await;
    assert_eq!(count(&mut reader).await, json!(1));
    drop(reader);
    // The connection notices the end of its client only when it writes again.
    let quiet = async {
        loop {
            let before = place.counter.0.load(Ordering::SeqCst);
            for _ in 0..20 {
                place.clock.advance(Duration::from_secs(2));
                SystemClock.sleep(Duration::from_millis(5)).await;
            }
            if place.counter.0.load(Ordering::SeqCst) == before {
                return before;
            }
        }
    };
    let before = tokio::time::timeout(HANG_LIMIT, quiet).await.unwrap();
    let mut again = place.listen().await;
    assert_eq!(count(&mut again).await, json!(before + 1));
}

#[tokio::test]
async fn streams_of_snapshots_count_as_streams_of_their_user() {
    let protection = SecuritySettings { streams_per_user: 2, ..SecuritySettings::default() };
    let server = Server::start_exposed(protection, ServerConfig::default()).await;
    let ada = server.user("ada").await;
    failure(server.client.get(server.url(PATH)).send().await.unwrap(), 401, "unauthenticated").await;
    let with_ticket = server.url(&format!("{PATH}?ticket={}", ada.ticket().await));
    let first = server.client.get(with_ticket).send().await.unwrap();
    assert_eq!(first.status(), 200);
    let second = ada.get("/api/v1/events").await;
    assert_eq!(second.status(), 200);
    failure(ada.get(PATH).await, 429, "rate_limited").await;
    drop((first, second));
}

#[tokio::test]
async fn scope_for_metrics_is_required_and_suffices() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for (scope, status) in [("metrics:read", 200), ("tasks:read", 403)] {
        let body = json!({ "name": scope, "scopes": [scope] });
        let made = success(ada.post("/api/v1/auth/api-keys", &body).await, 201).await;
        let request = server.client.get(server.url(PATH)).header("x-api-key", made["key"].as_str().unwrap());
        assert_eq!(request.send().await.unwrap().status(), status, "{scope}");
    }
}
