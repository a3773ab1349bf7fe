//! The schema forward, back and forward again, by one and by many at once.

use futures::future::join_all;
use serde_json::json;
use sqlx::{Connection, PgConnection, Row};
use sutazai_core::ErrorKind;
use sutazai_core::domain::{NewTask, Task};
use sutazai_core::ports::{Clock, SystemClock};
use sutazai_store::migrations::{down, status, up};

use crate::place::database;

#[tokio::test]
async fn forward_back_and_forward() {
    let url = database().await;
    assert!(status(&url).await.unwrap().iter().all(|migration| !migration.applied));
    assert!(schema(&url).await.is_empty(), "asking for the status left something behind");

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
    assert!(self::schema(&url).await.is_empty(), "something was left behind");

    up(&url).await.unwrap();
    assert_eq!(self::schema(&url).await, schema);
    assert_eq!(sutazai_store::open(&url).await.unwrap().tasks.get(kept.id).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_may_start_at_once() {
    let url = database().await;
    let taken = join_all((0..10).map(|_| up(&url))).await;
    let mut versions: Vec<u32> =
        taken.into_iter().flat_map(|taken| taken.unwrap()).map(|m| m.version).collect();
    versions.sort_unstable();
    let all: Vec<u32> = status(&url).await.unwrap().iter().map(|m| m.version).collect();
    assert_eq!(versions, all, "each step must be taken once");
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
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

/// Everything in the schema, in order.
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
