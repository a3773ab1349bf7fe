//! Migrations applied, reverted and applied again.

use chrono::DateTime;
use serde_json::json;
use sqlx::{Connection, Row, SqliteConnection};
use sutazai_core::ErrorKind;
use sutazai_core::domain::{EventOffset, MetricPoint, MetricSample, NewTask, Task, UserId};
use sutazai_core::ports::{Clock, SeriesQuery, SystemClock};
use sutazai_store::migrations::{down, status, up};

use crate::place::Place;

fn task() -> Task {
    Task::pending(NewTask::new("echo", json!({})), None, None, SystemClock.now())
}

async fn connect(place: &Place) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite://{}?mode=rwc", place.file().display())).await.unwrap()
}

#[tokio::test]
async fn migrations_are_applied_reverted_and_applied_again() {
    let place = Place::new();
    let url = place.url();
    assert!(status(&url).await.unwrap().iter().all(|migration| !migration.applied));
    assert!(!place.file().exists(), "reading the status must not create a file");

    let taken = up(&url).await.unwrap();
    let all = taken.len() as u32;
    assert_eq!(taken.iter().map(|m| m.version).collect::<Vec<_>>(), (1..=all).collect::<Vec<_>>());
    assert!(all >= 7 && up(&url).await.unwrap().is_empty());
    let schema = schema(&place).await;
    let stores = place.open().await;
    let kept = stores.tasks.enqueue(vec![task()]).await.unwrap();
    assert_eq!(stores.tasks.get(kept[0].id).await.unwrap(), Some(kept[0].clone()));
    drop(stores);

    let back = down(&url, all - 1).await.unwrap();
    assert_eq!(back.iter().map(|m| m.version).collect::<Vec<_>>(), (2..=all).rev().collect::<Vec<_>>());
    let applied = status(&url).await.unwrap().iter().filter(|m| m.applied).count();
    assert_eq!(applied, 1);
    assert_eq!(down(&url, 99).await.unwrap().len(), 1);
    assert!(self::schema(&place).await.is_empty(), "reverting all migrations must leave nothing");

    up(&url).await.unwrap();
    assert_eq!(self::schema(&place).await, schema);
    assert_eq!(place.open().await.tasks.get(kept[0].id).await.unwrap(), None);
}

#[tokio::test]
async fn newer_database_is_rejected_and_not_changed() {
    let place = Place::new();
    up(&place.url()).await.unwrap();
    let mut connection = connect(&place).await;
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&mut connection).await.unwrap();
    for e in [
        sutazai_store::open(&place.url()).await.unwrap_err(),
        up(&place.url()).await.unwrap_err(),
        down(&place.url(), 1).await.unwrap_err(),
    ] {
        assert_eq!(e.kind(), ErrorKind::Conflict, "{e}");
        assert!(e.to_string().contains("99") && e.to_string().contains("sutazai.db"), "{e}");
    }
    let row = sqlx::query("PRAGMA user_version").fetch_one(&mut connection).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 99);
}

#[tokio::test]
async fn every_foreign_key_has_an_index() {
    let place = Place::new();
    up(&place.url()).await.unwrap();
    let mut connection = connect(&place).await;
    let keys = sqlx::query(
        "SELECT m.name, f.\"from\" FROM sqlite_schema m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert!(keys.len() >= 7, "{}", keys.len());
    for key in keys {
        let (table, column): (String, String) = (key.get(0), key.get(1));
        let found = sqlx::query(
            "SELECT 1 FROM pragma_index_list(?) l, pragma_index_info(l.name) i WHERE i.seqno = 0 AND i.name = ?",
        )
        .bind(&table)
        .bind(&column)
        .fetch_optional(&mut connection)
        .await
        .unwrap();
        assert!(found.is_some(), "{table}.{column} has no index");
    }
}

#[tokio::test]
async fn events_keep_their_order_and_owner_when_they_get_positions() {
    let place = Place::new();
    let url = place.url();
    let stores = place.open().await;
    let owner = Some(UserId::new());
    let tasks = (0..3).map(|n| Task { owner: owner.filter(|_| n != 1), ..task() }).collect();
    let tasks = stores.tasks.enqueue(tasks).await.unwrap();
    stores.tasks.cancel(tasks[0].id, SystemClock.now()).await.unwrap();
    let before = stores.tasks.event_log_after(None, EventOffset(0), 10).await.unwrap().items;
    assert_eq!(before.len(), 4);
    drop(stores);
    while down(&url, 1).await.unwrap()[0].name != "feed" {}
    let stores = place.open().await;
    assert_eq!(stores.tasks.event_log_after(None, EventOffset(0), 10).await.unwrap().items, before);
    assert_eq!(stores.tasks.event_log_after(owner, EventOffset(0), 10).await.unwrap().items.len(), 3);
    let end = stores.tasks.event_log_end().await.unwrap();
    assert_eq!(end, before[3].position);
    stores.tasks.cancel(tasks[1].id, SystemClock.now()).await.unwrap();
    assert_eq!(
        stores.tasks.event_log_after(None, end, 10).await.unwrap().items[0].event.task_id,
        tasks[1].id
    );
}

#[tokio::test]
async fn earlier_samples_get_a_host_and_reverting_merges_hosts() {
    let place = Place::new();
    let url = place.url();
    let stores = sutazai_store::open(&url).await.unwrap();
    drop(stores);
    while down(&url, 1).await.unwrap()[0].name != "metric_hosts" {}
    let old = "INSERT INTO metric_series (name) VALUES ('a');
               INSERT INTO metric_samples SELECT id, 1000000000, 0.5 FROM metric_series;
               INSERT INTO metric_samples SELECT id, 2000000000, 1.5 FROM metric_series";
    sqlx::raw_sql(old).execute(&mut connect(&place).await).await.unwrap();
    let store = sutazai_store::open(&url).await.unwrap().metrics;
    let sample = |host: &str, second: i64, value: f64| MetricSample {
        host: host.into(),
        series: "a".into(),
        at: DateTime::from_timestamp(second, 0).unwrap(),
        value,
    };
    let query = |host: &str| SeriesQuery {
        host: host.into(),
        series: "a".into(),
        from: DateTime::from_timestamp(0, 0).unwrap(),
        to: DateTime::from_timestamp(100, 0).unwrap(),
        max_points: 100,
    };
    let at = |second| DateTime::from_timestamp(second, 0).unwrap();
    let kept = [MetricPoint::single(at(1), 0.5), MetricPoint::single(at(2), 1.5)];
    assert_eq!(store.range(&query("unknown")).await.unwrap(), kept);
    // At second 2 there is a sample of each host; the series of the host `unknown` is the oldest.
    store.append(&[sample("one", 2, 7.0), sample("one", 3, 2.5), sample("two", 4, 3.5)]).await.unwrap();
    assert_eq!(store.range(&query("unknown")).await.unwrap(), kept);
    drop(store);

    while down(&url, 1).await.unwrap()[0].name != "metric_hosts" {}
    let store = sutazai_store::open(&url).await.unwrap().metrics;
    let merged = store.range(&query("unknown")).await.unwrap();
    let points: Vec<_> = merged.iter().map(|point| (point.at.timestamp(), point.mean)).collect();
    assert_eq!(points, [(1, 0.5), (2, 1.5), (3, 2.5), (4, 3.5)]);
    assert_eq!(store.series("one", "").await.unwrap(), [] as [&str; 0]);
}

#[tokio::test]
async fn messages_from_before_are_counted() {
    let place = Place::new();
    let url = place.url();
    drop(place.open().await);
    while down(&url, 1).await.unwrap()[0].name != "message_counts" {}
    let old = "INSERT INTO conversations (id, title, created_at, updated_at) VALUES (x'01', '', 0, 0), (x'02', '', 0, 0);
               INSERT INTO messages (id, conversation_id, role, content, created_at, cut)
               VALUES (x'11', x'01', 'user', 'Grüezi', 0, 0), (x'12', x'01', 'assistant', '', 0, 0)";
    sqlx::raw_sql(old).execute(&mut connect(&place).await).await.unwrap();
    up(&url).await.unwrap();
    let counts = "SELECT message_count, message_bytes FROM conversations ORDER BY id";
    let rows = sqlx::query(counts).fetch_all(&mut connect(&place).await).await.unwrap();
    let counts: Vec<(i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(counts, [(2, 7), (0, 0)]);
}

/// Returns everything in the schema, sorted, except SQLite's own tables, which cannot be dropped.
async fn schema(place: &Place) -> Vec<String> {
    let rows = sqlx::query("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name")
        .fetch_all(&mut connect(place).await)
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}
