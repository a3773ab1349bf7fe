//! Unreadable rows, or rows with extreme times, affect only their owners.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use sutazai_core::domain::{ConcurrencyLimits, InstanceId, NewTask, PageRequest, Task};
use sutazai_core::ports::{ClaimRequest, Clock, SystemClock};

use crate::fixture::{Becomes, others_go_on, schedules};
use crate::place::database;

/// Statements that damage the task `$1`. A time of `tasks` is in `queue` too.
const WAYS: [(&str, Becomes); 15] = [
    ("UPDATE tasks SET trace = 'no trace' WHERE id = $1", Becomes::Failed),
    ("UPDATE tasks SET error = '{\"kind\":\"unknown\"}' WHERE id = $1", Becomes::Failed),
    (
        "UPDATE tasks SET payload = (repeat('[', 500) || repeat(']', 500))::jsonb WHERE id = $1",
        Becomes::Failed,
    ),
    ("UPDATE tasks SET attempt = 2147483647 WHERE id = $1", Becomes::Failed),
    ("UPDATE tasks SET last_sequence = 9223372036854775807 WHERE id = $1", Becomes::Failed),
    ("UPDATE tasks SET history = 'no history' WHERE id = $1", Becomes::Completed),
    ("UPDATE tasks SET created_at = 'infinity', updated_at = '-infinity' WHERE id = $1", Becomes::Completed),
    ("UPDATE tasks SET max_attempts = -5, timeout_seconds = -5 WHERE id = $1", Becomes::Failed),
    ("time -infinity", Becomes::Completed),
    ("time 4713-11-24 BC", Becomes::Completed),
    ("time 294276-12-31", Becomes::Pending),
    ("time infinity", Becomes::Pending),
    ("UPDATE queue SET agent = 'nobody here' WHERE task = $1", Becomes::Completed),
    ("DELETE FROM tasks WHERE id = $1", Becomes::Nameless),
    ("DELETE FROM queue WHERE task = $1", Becomes::Completed),
];

#[tokio::test(flavor = "multi_thread")]
async fn damaged_tasks_fail_and_others_are_run() {
    let per_agent = BTreeMap::from([("echo".to_owned(), 8)]);
    for limits in [ConcurrencyLimits::default(), ConcurrencyLimits { per_owner: Some(5), per_agent }] {
        let url = database().await;
        let store = sutazai_store::open(&url).await.unwrap().tasks;
        others_go_on(&store, limits, &WAYS, async |way, id| {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let statements = match way.strip_prefix("time ") {
                Some(time) => vec![
                    format!("UPDATE tasks SET run_at = '{time}', priority = 9 WHERE id = $1"),
                    format!("UPDATE queue SET run_at = '{time}', priority = 9 WHERE task = $1"),
                ],
                None => vec![way.to_owned()],
            };
            for sql in statements {
                let done = sqlx::query(AssertSqlSafe(sql)).bind(id.0).execute(&mut connection).await.unwrap();
                assert_eq!(done.rows_affected(), 1, "{way}");
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_task_without_its_queue_row_is_claimed_and_no_other_twice() {
    let url = database().await;
    let store = sutazai_store::open(&url).await.unwrap().tasks;
    let now = SystemClock.now();
    let new = |_| Task::pending(NewTask::new("echo", json!({})), None, None, now);
    let mut tasks = store.enqueue((0..3).map(new).collect()).await.unwrap();
    let request = |limit| ClaimRequest {
        worker: InstanceId::new(),
        agents: vec!["echo".into()],
        limit,
        lease: Duration::from_secs(30),
        now: SystemClock.now(),
        limits: ConcurrencyLimits::default(),
        after: None,
    };
    let held = store.claim(&request(1)).await.unwrap().remove(0);
    store.cancel(tasks.remove(1).id, now).await.unwrap();
    assert_eq!(held.task.id, tasks.remove(0).id);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("DELETE FROM queue").execute(&mut connection).await.unwrap();
    assert!(store.claim(&request(10)).await.unwrap().is_empty(), "nothing is in the queue");
    assert_eq!(store.reap(now).await.unwrap(), 0);
    let found = store.claim(&request(10)).await.unwrap();
    assert_eq!(found.iter().map(|claim| claim.task.id).collect::<Vec<_>>(), [tasks[0].id]);
    assert_eq!(store.backlog().await.unwrap().tasks, 0);
}

#[tokio::test]
async fn damaged_schedules_do_not_block_others() {
    let url = database().await;
    let store = sutazai_store::open(&url).await.unwrap().schedules;
    let [first, second, third, good] = schedules();
    for schedule in [&first, &second, &third, &good] {
        store.create(schedule).await.unwrap();
    }
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let ways = [
        "missed_runs = 'unknown'",
        "next_run_at = '-infinity', missed_runs = ''",
        "payload = (repeat('[', 500) || repeat(']', 500))::jsonb",
    ];
    for (schedule, way) in [first, second, third].iter().zip(ways) {
        let sql = AssertSqlSafe(format!("UPDATE schedules SET {way} WHERE id = $1"));
        sqlx::query(sql).bind(schedule.id.0).execute(&mut connection).await.unwrap();
    }
    assert_eq!(store.upcoming(1).await.unwrap(), std::slice::from_ref(&good));
    assert_eq!(store.list(None, PageRequest::default()).await.unwrap().items, [good]);
}
