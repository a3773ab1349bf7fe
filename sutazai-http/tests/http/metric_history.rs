//! History of metric series: several at once, grouped points, invalid parameters, and who may read.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sutazai_core::domain::MetricSample;
use sutazai_core::engine::Engine;
use sutazai_core::memory::MemoryMetricStore;
use sutazai_core::ports::{Clock, MetricStore};
use sutazai_core::testing::ManualClock;
use sutazai_http::App;

use crate::support::{Server, failure, names, success};

const HISTORY: &str = "/api/v1/system/metrics/history";
const CPU: &str = "host.cpu.used_percent";
const DISK: &str = "host.disks[/a b].used_percent";

struct Place {
    server: Server,
    clock: Arc<ManualClock>,
    store: Arc<MemoryMetricStore>,
}

async fn place() -> Place {
    let (clock, store) = (Arc::new(ManualClock::new()), Arc::new(MemoryMetricStore::new()));
    let engine = Engine::builder().clock(clock.clone()).metric_store(store.clone()).host("build-01");
    let server = Server::of_app(App::new(engine.build().unwrap())).await;
    Place { server, clock, store }
}

impl Place {
    fn ago(&self, minutes: i64) -> DateTime<Utc> {
        self.clock.now() - TimeDelta::minutes(minutes)
    }

    async fn record(&self, host: &str, series: &str, values: &[(i64, f64)]) {
        let sample = |(minutes, value): &(i64, f64)| MetricSample {
            host: host.into(),
            series: series.into(),
            at: self.ago(*minutes),
            value: *value,
        };
        self.store.append(&values.iter().map(sample).collect::<Vec<_>>()).await.unwrap();
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> reqwest::Response {
        let url = reqwest::Url::parse_with_params(&self.server.url(path), query).unwrap();
        self.server.client.get(url).send().await.unwrap()
    }
}

#[tokio::test]
async fn several_series_are_read_at_once() {
    let place = place().await;
    place.record("build-01", CPU, &[(90, 1.0), (30, 2.5), (1, 3.0)]).await;
    place.record("build-01", DISK, &[(2, 71.0)]).await;
    place.record("web-02", CPU, &[(3, 99.0)]).await;
    let asked = [("series", DISK), ("series", CPU), ("series", "host.none")];
    let data = success(place.get(HISTORY, &asked).await, 200).await;
    let point = |minutes, value: f64| {
        let at = place.ago(minutes).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
        json!({ "at": at, "mean": value, "min": value, "max": value })
    };
    assert_eq!(data["host"], "build-01");
    assert_eq!(
        data["series"],
        json!([
            { "name": DISK, "points": [point(2, 71.0)] },
            { "name": CPU, "points": [point(30, 2.5), point(1, 3.0)] },
            { "name": "host.none", "points": [] },
        ]),
        "the last hour by default"
    );
    let from = place.ago(100).to_rfc3339();
    let to = place.ago(30).to_rfc3339();
    let asked = [("series", CPU), ("from", &from), ("to", &to)];
    let data = success(place.get(HISTORY, &asked).await, 200).await;
    assert_eq!(data["series"][0]["points"], json!([point(90, 1.0)]), "`to` is exclusive");
    let ends = [&data["from"], &data["to"]].map(|at| at.as_str().unwrap().parse::<DateTime<Utc>>().unwrap());
    assert_eq!(ends, [place.ago(100), place.ago(30)]);
}

#[tokio::test]
async fn spike_within_a_group_is_visible() {
    let place = place().await;
    let values: Vec<_> = (1..=40).map(|minutes| (minutes, if minutes == 13 { 97.5 } else { 10.0 })).collect();
    place.record("build-01", CPU, &values).await;
    let data = success(place.get(HISTORY, &[("series", CPU), ("points", "4")]).await, 200).await;
    let points = data["series"][0]["points"].as_array().unwrap().clone();
    assert_eq!(points.len(), 4);
    let spikes: Vec<&Value> = points.iter().filter(|point| point["max"] != 10.0).collect();
    assert_eq!(spikes.len(), 1, "{points:?}");
    assert_eq!(
        (&spikes[0]["mean"], &spikes[0]["min"], &spikes[0]["max"]),
        (&json!(18.75), &json!(10.0), &json!(97.5))
    );
}

#[tokio::test]
async fn series_are_listed_by_prefix() {
    let place = place().await;
    place.record("build-01", CPU, &[(1, 1.0)]).await;
    place.record("build-01", DISK, &[(1, 1.0)]).await;
    place.record("web-02", "host.disks[/b].used_percent", &[(1, 1.0)]).await;
    let list = async |query: &[(&str, &str)]| {
        success(place.get("/api/v1/system/metrics/series", query).await, 200).await
    };
    assert_eq!(list(&[("prefix", "host.disks")]).await, json!({ "host": "build-01", "items": [DISK] }));
    assert_eq!(list(&[]).await["items"], json!([CPU, DISK]));
    let long = "x".repeat(513);
    let refused = place.get("/api/v1/system/metrics/series", &[("prefix", &long)]).await;
    names(refused, 422, "invalid_input", "prefix").await;
}

#[tokio::test]
async fn invalid_parameters_are_named() {
    let place = place().await;
    let long = "x".repeat(513);
    let now = place.clock.now().to_rfc3339();
    for (field, query) in [
        ("series", vec![]),
        ("series", vec![("series", CPU); 21]),
        ("series", vec![("series", CPU), ("series", &long)]),
        ("points", vec![("series", CPU), ("points", "0")]),
        ("points", vec![("series", CPU), ("points", "1001")]),
        ("points", vec![("series", CPU), ("points", "many")]),
        ("from", vec![("series", CPU), ("from", "yesterday")]),
        ("from", vec![("series", CPU), ("from", &now), ("to", &now)]),
        ("to", vec![("series", CPU), ("to", "")]),
        ("limit", vec![("series", CPU), ("limit", "3")]),
    ] {
        names(place.get(HISTORY, &query).await, 422, "invalid_input", field).await;
    }
    let widest = [("series", CPU), ("from", "0001-01-01T00:00:00Z"), ("to", "9999-12-31T00:00:00Z")];
    success(place.get(HISTORY, &widest).await, 200).await;
    success(place.get(HISTORY, &[("series", CPU); 20]).await, 200).await;
}

#[tokio::test]
async fn server_without_history_says_so() {
    let server = Server::of_app(App::new(Engine::builder().build().unwrap())).await;
    for path in [&format!("{HISTORY}?series={CPU}"), "/api/v1/system/metrics/series"] {
        let error =
            failure(server.client.get(server.url(path)).send().await.unwrap(), 501, "unsupported").await;
        assert!(error["message"].as_str().unwrap().contains("no history"), "{error}");
    }
}
