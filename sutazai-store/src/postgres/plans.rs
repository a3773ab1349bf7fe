//! Query plans of the hot statements: each must use its index, however large the tables are.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use sutazai_core::domain::{NewTask, Task, TaskId};
use sutazai_core::ports::{Clock, SystemClock};
use uuid::Uuid;

use super::claim::{HEADS, NEXT_DUE, TAKE_FROM, aging};
use super::database::Database;
use super::document_store::{BEST, BY_BITMAP, WITH};
use super::events::{EVENT_LOG, EVENT_LOG_OF_OWNER};
use super::queue::{FINISH, RENEW};
use super::reads::{BY_IDS, PAGES};
use place::database;

#[path = "../../tests/postgres/place.rs"]
pub(super) mod place;

const FINISHED: i32 = 100_000;
const PENDING: i32 = 100_000;

/// Runs the statements of a claim from one partition, and the lookup of the next due time; returns their
/// plans as JSON.
async fn plans(connection: &mut PgConnection) -> [Value; 3] {
    let now = SystemClock.now();
    let agents = vec!["echo".to_owned()];
    let explain =
        |sql: &str| sqlx::query(AssertSqlSafe(format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}")));
    let heads = explain(HEADS).bind(Uuid::nil()).bind("").bind(-1_i16).bind(256_i64);
    let due = explain(NEXT_DUE).bind(Uuid::nil()).bind("").bind(-1_i16).bind(&agents);
    let take = explain(TAKE_FROM)
        .bind(now)
        .bind(Uuid::now_v7())
        .bind(now)
        .bind(",0,\"processing\",")
        .bind(Vec::<i64>::new())
        .bind(vec![Uuid::nil()])
        .bind(&agents)
        .bind(vec![5_i16])
        .bind(10_i64)
        .bind(10_i64)
        .bind(aging());
    let mut plans = Vec::new();
    for query in [heads, due, take] {
        plans.push(query.fetch_one(&mut *connection).await.unwrap().get::<Value, _>(0));
    }
    plans.try_into().unwrap()
}

/// Returns every node of a plan.
fn nodes(plan: &Value) -> Vec<&Value> {
    let mut found = Vec::new();
    let mut waiting = vec![plan];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Object(fields) => {
                if fields.contains_key("Node Type") {
                    found.push(value);
                }
                waiting.extend(fields.values());
            }
            Value::Array(items) => waiting.extend(items),
            _ => {}
        }
    }
    found
}

/// Asserts that the plan reads tasks only by these indexes, and few rows of them.
fn assert_searched(plan: &Value, indices: &[&str]) {
    let mut seen = Vec::new();
    for node in nodes(plan) {
        assert_ne!(node["Node Type"], "Bitmap Heap Scan", "{plan:#}");
        if node["Node Type"] == "Seq Scan" {
            panic!("the table is read: {plan:#}");
        }
        if let Some(index) = node["Index Name"].as_str() {
            assert!(indices.contains(&index), "{index}: {plan:#}");
            assert!(node["Rows Removed by Filter"].as_f64().unwrap_or(0.0) < 1.0, "{plan:#}");
            assert!(node["Actual Rows"].as_f64().unwrap() <= 100.0, "{plan:#}");
            seen.push(index);
        }
    }
    assert!(seen.contains(&"queue_partitions"), "{plan:#}");
}

/// Adds `count` tasks of this owner in this status.
async fn fill(connection: &mut PgConnection, count: i32, status: &'static str, owner: Option<Uuid>) {
    sqlx::query(
        "WITH added AS (
             INSERT INTO tasks (id, created_at, updated_at, run_at, timeout_seconds, max_attempts, status, priority,
                 awaited, agent, title, description, payload, owner)
             SELECT gen_random_uuid(), now(), now(), now(), 300, 3, $2::task_status, 5, false, 'echo', '', '', '{}', $3
             FROM generate_series(1, $1) RETURNING *
         )
         INSERT INTO queue (owner, agent, priority, run_at, task)
         SELECT coalesce(owner, '00000000-0000-0000-0000-000000000000'), agent, priority, run_at, id
         FROM added WHERE status = 'pending'",
    )
    .bind(count)
    .bind(status)
    .bind(owner)
    .execute(connection)
    .await
    .unwrap();
}

#[tokio::test]
async fn claim_searches_only_the_queue_however_many_tasks_exist() {
    let url = database().await;
    let store = crate::open(&url).await.unwrap().tasks;
    let connections = Database::new(&url).unwrap();
    let new = |_| Task::pending(NewTask::new("echo", json!({})), None, None, SystemClock.now());
    let mut buffers = Vec::new();
    // The first plan is made before PostgreSQL has statistics of the table, the last one after `ANALYZE`.
    for statistics in [false, false, true] {
        store.enqueue((0..100).map(new).collect()).await.unwrap();
        let mut connection = connections.take().await.unwrap();
        if statistics {
            sqlx::raw_sql("VACUUM ANALYZE").execute(&mut *connection).await.unwrap();
        }
        let [heads, due, take] = plans(&mut connection).await;
        assert_searched(&heads, &["queue_partitions"]);
        assert_searched(&due, &["queue_partitions", "leases_until"]);
        assert_searched(&take, &["queue_partitions", "tasks_id", "leases_id"]);
        let hit = |plan: &Value| plan[0]["Plan"]["Shared Hit Blocks"].as_u64().unwrap();
        buffers.push(hit(&heads) + hit(&take));
        fill(&mut connection, FINISHED, "completed", None).await;
        fill(&mut connection, PENDING, "pending", Some(Uuid::now_v7())).await;
    }
    assert!(buffers[1] < buffers[0] + 200 && buffers[2] < buffers[0] + 200, "blocks read: {buffers:?}");
}

#[tokio::test]
async fn held_tasks_are_found_by_id_whatever_the_statistics() {
    let url = database().await;
    crate::migrations::up(&url).await.unwrap();
    let mut connection = Database::new(&url).unwrap().take().await.unwrap();
    let (ids, now) = (vec![TaskId::new().0; 500], SystemClock.now());
    let attempts = vec![1_i32; 500];
    // Without statistics of the table, and with statistics by which no task is processing.
    for statistics in [false, true] {
        fill(&mut connection, PENDING, "pending", None).await;
        if statistics {
            sqlx::raw_sql("VACUUM ANALYZE tasks").execute(&mut *connection).await.unwrap();
        }
        for sql in [RENEW, FINISH] {
            let explain = AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) {sql}"));
            let mut query = sqlx::query(explain).bind(&ids).bind(&attempts).bind(&ids);
            if sql == FINISH {
                let texts = vec!["completed".to_owned(); 500];
                query = query.bind(texts.clone()).bind(texts.clone()).bind(texts.clone());
                query = query.bind(vec![now; 500]).bind(texts);
            }
            let plan = query.bind(now).fetch_one(&mut *connection).await.unwrap().get::<Value, _>(0);
            let indices = nodes(&plan).into_iter().filter_map(|node| node["Index Name"].as_str());
            assert_eq!(indices.collect::<Vec<_>>(), ["tasks_id"], "{plan:#}");
            assert!(!kinds(&plan).contains(&"Seq Scan"), "{plan:#}");
        }
    }
}

#[tokio::test]
async fn event_log_is_searched_by_index_and_never_scanned() {
    let url = database().await;
    crate::migrations::up(&url).await.unwrap();
    let mut connection = Database::new(&url).unwrap().take().await.unwrap();
    for (sql, index) in [(EVENT_LOG, "event_log_offset"), (EVENT_LOG_OF_OWNER, "event_log_owner")] {
        let explain = format!("EXPLAIN (FORMAT JSON) {sql}");
        let mut query = sqlx::query(AssertSqlSafe(explain)).bind("7").bind(7_i64).bind(7_i64).bind(7_i64);
        if sql == EVENT_LOG_OF_OWNER {
            query = query.bind(TaskId::new().0);
        }
        let plan = query.fetch_one(&mut *connection).await.unwrap().get::<Value, _>(0);
        assert_eq!(kinds(&plan), ["Limit", "Nested Loop", "Function Scan", "Index Scan"], "{plan:#}");
        assert!(plan.to_string().contains(index), "{plan:#}");
    }
}

#[tokio::test]
async fn batched_reads_use_an_index_and_do_not_sort() {
    let url = database().await;
    crate::migrations::up(&url).await.unwrap();
    let mut connection = Database::new(&url).unwrap().take().await.unwrap();
    let ids = vec![TaskId::new().0; 50];
    // Over an empty table, without statistics, and after `ANALYZE`.
    for change in ["SELECT", TASKS_OF_TEN_OWNERS, "VACUUM ANALYZE tasks"] {
        sqlx::raw_sql(change).execute(&mut *connection).await.unwrap();
        let explain = format!("EXPLAIN (FORMAT JSON) {BY_IDS}");
        let query = sqlx::query(AssertSqlSafe(explain)).bind(&ids);
        let plan = query.fetch_one(&mut *connection).await.unwrap().get::<Value, _>(0);
        assert_eq!(kinds(&plan), ["Index Scan"], "{plan:#}");
        assert!(plan.to_string().contains("tasks_id"), "{plan:#}");
        let explain = format!("EXPLAIN (FORMAT JSON) {}", *PAGES);
        let query = sqlx::query(AssertSqlSafe(explain)).bind(&ids).bind(&ids).bind(vec![11_i64; 50]);
        let plan = query.fetch_one(&mut *connection).await.unwrap().get::<Value, _>(0);
        assert_eq!(kinds(&plan), ["Nested Loop", "Limit", "Index Scan", "Function Scan"], "{plan:#}");
        assert!(plan.to_string().contains("tasks_owner"), "{plan:#}");
    }
}

const TASKS_OF_TEN_OWNERS: &str = "\
    INSERT INTO tasks (id, owner, created_at, updated_at, run_at, timeout_seconds, max_attempts, status, priority,
        awaited, agent, title, description, payload)
    SELECT gen_random_uuid(), md5((n % 10)::text)::uuid, now(), now(), now(), 300, 3, 'completed', 5, false, 'echo',
        '', '', '{}' FROM generate_series(1, 50000) AS n";

fn kinds(plan: &Value) -> Vec<&str> {
    nodes(plan).iter().map(|node| node["Node Type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn search_reads_only_index_entries_of_its_owner() {
    let url = database().await;
    crate::migrations::up(&url).await.unwrap();
    let mut connection = Database::new(&url).unwrap().take().await.unwrap();
    // Over an empty table, without statistics, and after `ANALYZE`. All chunks have the word.
    for change in ["SELECT", CHUNKS_OF_MANY_OWNERS, "ANALYZE chunks"] {
        sqlx::raw_sql(change).execute(&mut *connection).await.unwrap();
        sqlx::raw_sql("BEGIN").execute(&mut *connection).await.unwrap();
        sqlx::raw_sql(BY_BITMAP).execute(&mut *connection).await.unwrap();
        for sql in [BEST, WITH] {
            let explain = AssertSqlSafe(format!("EXPLAIN (ANALYZE, FORMAT JSON) {sql}"));
            let query = sqlx::query(explain).persistent(false).bind(vec!["'word'"]);
            let query = if sql == BEST {
                query.bind(vec![1_i64]).bind("'=7'").bind(20_i64)
            } else {
                query.bind("'=7'")
            };
            let plan = query.fetch_one(&mut *connection).await.unwrap().get::<Value, _>(0);
            let index = nodes(&plan).into_iter().find(|node| node["Index Name"] == "chunks_words");
            let read = index.unwrap_or_else(|| panic!("{plan:#}"))["Actual Rows"].as_f64().unwrap();
            assert_eq!(read, if change == "SELECT" { 0.0 } else { 100.0 }, "{plan:#}");
            assert!(!kinds(&plan).contains(&"Seq Scan"), "{plan:#}");
        }
        sqlx::raw_sql("COMMIT").execute(&mut *connection).await.unwrap();
    }
}

const CHUNKS_OF_MANY_OWNERS: &str = "\
    INSERT INTO documents (id, title, media_type, size_bytes, chunks, created_at)
    SELECT md5(n::text)::uuid, '', 'text/plain', 1, 100, now() FROM generate_series(1, 200) AS n;
    INSERT INTO chunks (document_id, number, start_char, end_char, text, words)
    SELECT md5(n::text)::uuid, number, 0, 1, '', ('''=' || n || ''' ''word'':1')::tsvector
    FROM generate_series(1, 200) AS n, generate_series(0, 99) AS number";
