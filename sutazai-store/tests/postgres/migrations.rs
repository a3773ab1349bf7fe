//! Migrations applied, reverted and applied again, by one process and by many at once.

use std::time::Duration;

use chrono::DateTime;
use futures::future::join_all;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use sutazai_core::ErrorKind;
use sutazai_core::domain::{
    Chunk, ConcurrencyLimits, Document, DocumentId, EventKind, EventOffset, InstanceId, MediaType,
    MetricPoint, MetricSample, NewEvent, NewTask, Outcome, OutcomeRecord, PassageQuery, SessionId, Task,
    TaskError, TaskEvent, TaskId, UserId,
};
use sutazai_core::ports::{ClaimRequest, Clock, SeriesQuery, SystemClock, TaskStore};
use sutazai_store::migrations::{down, status, up};
use tokio::time::timeout;

use crate::place::database;

#[tokio::test]
async fn migrations_are_applied_reverted_and_applied_again() {
    let url = database().await;
    assert!(status(&url).await.unwrap().iter().all(|migration| !migration.applied));
    assert!(schema(&url).await.is_empty(), "reading the status must change nothing");

    let taken = up(&url).await.unwrap();
    assert_eq!(
        taken.iter().map(|m| m.version).collect::<Vec<_>>(),
        (1..=taken.len() as u32).collect::<Vec<_>>()
    );
    assert!(taken.len() >= 4 && up(&url).await.unwrap().is_empty());
    let schema = schema(&url).await;
    let task = Task::pending(NewTask::new("echo", json!({})), None, None, SystemClock.now());
    let stores = sutazai_store::open(&url).await.unwrap();
    let kept = stores.tasks.enqueue(vec![task]).await.unwrap().remove(0);
    assert_eq!(stores.tasks.get(kept.id).await.unwrap(), Some(kept.clone()));
    drop(stores);

    let all = taken.len() as u32;
    let back = down(&url, all - 1).await.unwrap();
    assert_eq!(back.iter().map(|m| m.version).collect::<Vec<_>>(), (2..=all).rev().collect::<Vec<_>>());
    let applied = status(&url).await.unwrap().iter().filter(|m| m.applied).count();
    assert_eq!(applied, 1);
    assert_eq!(down(&url, 99).await.unwrap().len(), 1);
    assert!(self::schema(&url).await.is_empty(), "reverting all migrations must leave nothing");

    up(&url).await.unwrap();
    assert_eq!(self::schema(&url).await, schema);
    assert_eq!(sutazai_store::open(&url).await.unwrap().tasks.get(kept.id).await.unwrap(), None);
}

#[tokio::test]
async fn earlier_documents_are_indexed_again() {
    let url = database().await;
    let stores = sutazai_store::open(&url).await.unwrap();
    let id = DocumentId::new();
    let document = Document {
        id,
        owner: None,
        title: String::new(),
        media_type: MediaType::Plain,
        size_bytes: 1,
        // More than one statement indexes.
        chunks: 1_200,
        created_at: SystemClock.now(),
        upload_key: None,
    };
    let text = |index| format!("İstanbul ΟΔΟΣ Donau\u{ad}dampf \0 n{index}");
    let chunks =
        (0..1_200).map(|index| Chunk { document: id, index, start: 0, end: 1, text: text(index) }).collect();
    stores.documents.add(&document, chunks).await.unwrap();
    drop(stores);
    while down(&url, 1).await.unwrap()[0].name != "words" {}
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let old = sqlx::query("UPDATE chunks SET words = 'i:2 stanbul:3'").execute(&mut connection);
    assert_eq!(old.await.unwrap().rows_affected(), 1_200);
    up(&url).await.unwrap();
    let stores = sutazai_store::open(&url).await.unwrap();
    for (text, found) in [
        ("i\u{307}stanbul", 100),
        ("οδος", 100),
        ("donaudampf", 100),
        ("stanbul", 0),
        ("n0", 1),
        ("n1199", 1),
    ] {
        let query = PassageQuery { owner: None, text: text.into(), limit: 100 };
        assert_eq!(stores.documents.search(&query).await.unwrap().len(), found, "{text}");
    }
}

/// Returns everything that callers can see of these tasks: each with its events, and the event log.
async fn seen(store: &dyn TaskStore, ids: &[TaskId]) -> (Vec<(Task, Vec<TaskEvent>)>, Vec<(TaskId, u64)>) {
    let mut tasks = Vec::new();
    for id in ids {
        let task = store.get(*id).await.unwrap().unwrap();
        tasks.push((task, store.events_after(*id, 0, 100).await.unwrap()));
    }
    let count: usize = tasks.iter().map(|(_, events)| events.len()).sum();
    // Open transactions of other tests delay the event log.
    let whole = async {
        loop {
            let feed = store.event_log_after(None, EventOffset(0), 100).await.unwrap().items;
            if feed.len() >= count {
                return feed;
            }
            SystemClock.sleep(Duration::from_millis(20)).await;
        }
    };
    let feed = timeout(Duration::from_secs(20), whole)
        .await
        .expect("all events must be in the event log within 20 s");
    (tasks, feed.into_iter().map(|entry| (entry.event.task_id, entry.event.sequence)).collect())
}

#[tokio::test]
async fn queue_migration_keeps_all_tasks_in_both_directions() {
    let url = database().await;
    let now = SystemClock.now();
    let new =
        |key: Option<&str>| NewTask { unique_key: key.map(Into::into), ..NewTask::new("echo", json!({})) };
    let store = sutazai_store::open(&url).await.unwrap().tasks;
    let mut ids = Vec::new();
    for (owner, key) in [(None, None), (Some(UserId::new()), None), (None, Some("one")), (None, None)] {
        let task = Task::pending(new(key), owner, None, now);
        ids.push(store.enqueue(vec![task]).await.unwrap()[0].id);
    }
    let request = ClaimRequest {
        worker: InstanceId::new(),
        agents: vec!["echo".into()],
        limit: 3,
        lease: Duration::from_secs(30),
        now,
        limits: ConcurrencyLimits::default(),
        after: None,
    };
    let held = store.claim(&request).await.unwrap();
    let kind = EventKind::progress(0.5, "half\u{0}way");
    store.append(&held[0].key(), vec![NewEvent { at: now, kind }]).await.unwrap();
    let error = TaskError { kind: ErrorKind::Unavailable, message: "not\nyet".into() };
    let outcomes = [Outcome::Completed(json!(1)), Outcome::Failed(error)];
    for (claim, outcome) in held.iter().zip(outcomes) {
        let done =
            store.record_outcomes(vec![OutcomeRecord { claim: claim.key(), outcome }], now).await.unwrap();
        assert!(done[0].is_ok());
    }
    let before = seen(&*store, &ids).await;
    drop(store);

    // Reverts to before the queue migration, and to before the one or two ahead of it.
    let applied = status(&url).await.unwrap();
    let behind = applied.iter().rev().take_while(|migration| migration.name != "queue").count() as u32;
    for steps in [behind + 1, behind + 2, behind + 3] {
        let back = down(&url, steps).await.unwrap();
        assert!(back.iter().any(|migration| migration.name == "queue"), "{back:?}");
        let old = up(&url).await.unwrap();
        assert_eq!(old.len() as u32, steps);
        let store = sutazai_store::open(&url).await.unwrap().tasks;
        assert_eq!(seen(&*store, &ids).await, before, "{steps} back and forward");
    }
    let store = sutazai_store::open(&url).await.unwrap().tasks;
    let again = Task::pending(new(Some("one")), None, None, now);
    assert!(
        ids.contains(&store.enqueue(vec![again]).await.unwrap()[0].id),
        "the deduplication key must still be active"
    );
    let rest = store.claim(&ClaimRequest { limit: 10, ..request }).await.unwrap();
    assert_eq!(rest.len(), 1, "the pending task");
    assert_eq!(store.reap(now + Duration::from_secs(30)).await.unwrap(), 2, "the two held tasks");
}

#[tokio::test]
async fn messages_from_before_are_counted() {
    let url = database().await;
    up(&url).await.unwrap();
    while down(&url, 1).await.unwrap()[0].name != "message_counts" {}
    let [one, two] = ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"];
    let old = format!(
        "INSERT INTO conversations (id, title, created_at, updated_at) VALUES ('{one}', '', now(), now()), ('{two}', '', now(), now());
         INSERT INTO messages (id, conversation_id, role, content, created_at, cut)
         VALUES ('{one}', '{one}', 'user', 'Grüezi', now(), false), ('{two}', '{one}', 'assistant', '', now(), false)"
    );
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(old)).execute(&mut connection).await.unwrap();
    up(&url).await.unwrap();
    let counts = "SELECT message_count, message_bytes FROM conversations ORDER BY id";
    let rows = sqlx::query(counts).fetch_all(&mut connection).await.unwrap();
    let counts: Vec<(i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(counts, [(2, 7), (0, 0)]);
}

#[tokio::test]
async fn texts_that_were_stored_unescaped_are_read_unchanged() {
    const TEXT: &str = "\u{10ffff}0 \u{10ffff}1 \u{10ffff}";
    let url = database().await;
    up(&url).await.unwrap();
    while down(&url, 1).await.unwrap()[0].name != "escaped_texts" {}
    let id = TaskId::new().0;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for sql in [
        "INSERT INTO users (id, username, email, password_hash, role, disabled, created_at, username_key, email_key)
         VALUES ($1, 'ada', '', $2, 'user', false, now(), 'ada', '')",
        "INSERT INTO user_sessions (id, user_id, refresh_hash, created_at, refreshed_at, expires_at, user_agent)
         VALUES ($1, $1, '', now(), now(), now(), $2)",
        "INSERT INTO api_keys (id, user_id, name, prefix, hash, scopes, created_at)
         VALUES ($1, $1, $2, '', '', '[]', now())",
        "INSERT INTO outbox (id, topic, body) VALUES ($1::text, '', $2)",
    ] {
        sqlx::query(sql).bind(id).bind(TEXT).execute(&mut connection).await.unwrap();
    }
    for _ in 0..2 {
        let stores = sutazai_store::open(&url).await.unwrap();
        let session = stores.identity.session(SessionId(id)).await.unwrap().unwrap();
        assert_eq!(session.user_agent.as_deref(), Some(TEXT));
        assert_eq!(stores.api_keys.find("").await.unwrap().unwrap().name, TEXT);
        assert_eq!(stores.relays.outbox(1).await.unwrap()[0].message.body, TEXT);
        drop(stores);
        while down(&url, 1).await.unwrap()[0].name != "escaped_texts" {}
        let row = sqlx::query("SELECT name FROM api_keys").fetch_one(&mut connection).await.unwrap();
        assert_eq!(row.get::<&str, _>(0), TEXT);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_may_migrate_at_once() {
    let url = database().await;
    let taken = join_all((0..10).map(|_| up(&url))).await;
    let mut versions: Vec<u32> =
        taken.into_iter().flat_map(|taken| taken.unwrap()).map(|m| m.version).collect();
    versions.sort_unstable();
    let all: Vec<u32> = status(&url).await.unwrap().iter().map(|m| m.version).collect();
    assert_eq!(versions, all, "each step must be taken once");
}

#[tokio::test]
async fn newer_database_is_rejected_and_not_changed() {
    let url = database().await;
    up(&url).await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("UPDATE sutazai_schema SET version = 99").execute(&mut connection).await.unwrap();
    for e in [
        sutazai_store::open(&url).await.unwrap_err(),
        up(&url).await.unwrap_err(),
        down(&url, 1).await.unwrap_err(),
    ] {
        assert_eq!(e.kind(), ErrorKind::Conflict, "{e}");
        assert!(e.to_string().contains("99"), "{e}");
    }
    let row = sqlx::query("SELECT version FROM sutazai_schema").fetch_one(&mut connection).await.unwrap();
    assert_eq!(row.get::<i32, _>(0), 99);
}

#[tokio::test]
async fn every_foreign_key_has_an_index() {
    let url = database().await;
    up(&url).await.unwrap();
    let keys = sqlx::query(
        "SELECT c.conrelid::regclass::text, c.conkey[1], EXISTS (
             SELECT 1 FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1])
         FROM pg_constraint c WHERE c.contype = 'f'",
    )
    .fetch_all(&mut PgConnection::connect(&url).await.unwrap())
    .await
    .unwrap();
    assert!(keys.len() >= 6, "{}", keys.len());
    for key in keys {
        let (table, column, indexed): (String, i16, bool) = (key.get(0), key.get(1), key.get(2));
        assert!(indexed, "column {column} of {table} has no index");
    }
}

#[tokio::test]
async fn earlier_samples_get_a_host_and_reverting_merges_hosts() {
    let url = database().await;
    let stores = sutazai_store::open(&url).await.unwrap();
    drop(stores);
    while down(&url, 1).await.unwrap()[0].name != "metric_hosts" {}
    let old = "INSERT INTO metric_series (name) VALUES ('a');
               INSERT INTO metric_samples SELECT id, to_timestamp(1), 0.5 FROM metric_series;
               INSERT INTO metric_samples SELECT id, to_timestamp(2), 1.5 FROM metric_series";
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(old).execute(&mut connection).await.unwrap();
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

/// Returns everything in the schema, sorted.
async fn schema(url: &str) -> Vec<String> {
    let rows = sqlx::query(
        "SELECT 'column ' || concat_ws(' ', table_name, column_name, udt_name, is_nullable, column_default)
         FROM information_schema.columns WHERE table_schema = 'public'
         UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
         UNION ALL SELECT 'type ' || typname FROM pg_type WHERE typnamespace = 'public'::regnamespace ORDER BY 1",
    )
    .fetch_all(&mut PgConnection::connect(url).await.unwrap())
    .await
    .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}
