//! Unreadable rows affect only their owners.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use sutazai_core::domain::{ConcurrencyLimits, PageRequest};

use crate::fixture::{Becomes, others_go_on, schedules};
use crate::place::Place;

/// Assignments that damage a task. SQLite checks neither encodings nor sizes, and CHECK constraints can be
/// switched off.
const WAYS: [(&str, Becomes); 22] = [
    ("payload = '{broken'", Becomes::Failed),
    ("payload = CAST(x'ff' AS TEXT)", Becomes::Failed),
    ("title = CAST(x'fffe' AS TEXT)", Becomes::Failed),
    ("agent = CAST(x'ff' AS TEXT)", Becomes::Failed),
    ("idempotency_key = CAST(x'ff' AS TEXT)", Becomes::Failed),
    ("trace = 'no trace'", Becomes::Failed),
    ("error = '{\"kind\":\"unknown\"}'", Becomes::Failed),
    ("state = 'no JSON'", Becomes::Failed),
    ("result = ''", Becomes::Failed),
    ("status = 'unknown'", Becomes::Failed),
    ("attempt = 9223372036854775807", Becomes::Failed),
    ("failures = -1", Becomes::Failed),
    ("timeout_seconds = -9223372036854775808", Becomes::Failed),
    ("priority = 99999", Becomes::Failed),
    ("worker = x'01'", Becomes::Failed),
    ("owner = x'01'", Becomes::Failed),
    ("id = x'01'", Becomes::Nameless),
    ("attempt = 4294967295", Becomes::Completed),
    ("run_at = -9223372036854775808", Becomes::Completed),
    ("created_at = 9223372036854775807", Becomes::Completed),
    ("agent = 'nobody here'", Becomes::Pending),
    ("run_at = 9223372036854775807", Becomes::Pending),
];

#[tokio::test(flavor = "multi_thread")]
async fn damaged_tasks_fail_and_others_are_run() {
    let per_agent = BTreeMap::from([("echo".to_owned(), 8)]);
    for limits in [ConcurrencyLimits::default(), ConcurrencyLimits { per_owner: Some(5), per_agent }] {
        let place = Place::new();
        let stores = place.open().await;
        others_go_on(&stores.tasks, limits, &WAYS, async |way, id| {
            let mut connection = SqliteConnection::connect(&place.url()).await.unwrap();
            let off = "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF;";
            sqlx::raw_sql(off).execute(&mut connection).await.unwrap();
            let sql = AssertSqlSafe(format!("UPDATE tasks SET {way} WHERE id = ?"));
            let done = sqlx::query(sql).bind(id.0).execute(&mut connection).await.unwrap();
            assert_eq!(done.rows_affected(), 1, "{way}");
        })
        .await;
        let mut connection = SqliteConnection::connect(&place.url()).await.unwrap();
        let unreadable = "SELECT status FROM tasks WHERE id = x'01'";
        let status: String = sqlx::query_scalar(unreadable).fetch_one(&mut connection).await.unwrap();
        assert_eq!(status, "failed");
    }
}

#[tokio::test]
async fn damaged_schedules_do_not_block_others() {
    let place = Place::new();
    let store = place.open().await.schedules;
    let [first, second, third, good] = schedules();
    for schedule in [&first, &second, &third, &good] {
        store.create(schedule).await.unwrap();
    }
    let mut connection = SqliteConnection::connect(&place.url()).await.unwrap();
    let ways = ["missed_runs = 'unknown'", "payload = '{broken'", "name = CAST(x'ff' AS TEXT)"];
    for (schedule, way) in [first, second, third].iter().zip(ways) {
        let sql = AssertSqlSafe(format!("UPDATE schedules SET {way} WHERE id = ?"));
        sqlx::query(sql).bind(schedule.id.0).execute(&mut connection).await.unwrap();
    }
    assert_eq!(store.upcoming(1).await.unwrap(), std::slice::from_ref(&good));
    assert_eq!(store.list(None, PageRequest::default()).await.unwrap().items, [good]);
}
