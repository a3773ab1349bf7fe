//! Schedules: creation, replacement, deletion, and the tasks they submit.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{Server, User, failure, names, success};

const PATH: &str = "/api/v1/schedules";

fn body() -> Value {
    json!({
        "name": "Morning look",
        "agent": "worker",
        "payload": { "mode": "echo", "text": "hello" },
        "priority": 7,
        "cron": "30 7 * * MON-FRI",
        "time_zone": "Europe/Berlin",
        "missed_runs": "skip",
        "overlap_policy": "queue",
    })
}

async fn create(user: &User<'_>, body: &Value) -> Value {
    success(user.post(PATH, body).await, 201).await
}

#[tokio::test]
async fn schedule_is_created_shown_replaced_and_deleted() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let made = create(&ada, &body()).await;
    for (field, value) in body().as_object().unwrap() {
        assert_eq!(made[field], *value, "{field}");
    }
    assert_eq!((&made["enabled"], &made["last_run_at"]), (&json!(true), &Value::Null));
    assert_eq!(made["queued_runs"], 0);
    let next = made["next_run_at"].as_str().unwrap();
    assert!(next.ends_with(":30:00Z"), "{next}");
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    assert_eq!(success(ada.get(&path).await, 200).await, made);

    let short = json!({ "name": "Hourly", "agent": "worker", "cron": "0 * * * *", "enabled": false, "payload": { "mode": "echo" } });
    let changed = ada.request(Method::PUT, &path).json(&short).send().await.unwrap();
    let changed = success(changed, 200).await;
    assert_eq!((&changed["name"], &changed["next_run_at"]), (&json!("Hourly"), &Value::Null));
    for (field, default) in [
        ("priority", json!(5)),
        ("time_zone", json!("UTC")),
        ("missed_runs", json!("once")),
        ("overlap_policy", json!("skip")),
    ] {
        assert_eq!(changed[field], default, "{field}");
    }
    assert_eq!(changed["created_at"], made["created_at"]);

    let newer = create(&ada, &body()).await;
    let page = success(ada.get(&format!("{PATH}?limit=1")).await, 200).await;
    assert_eq!(page["items"], json!([newer]));
    let cursor = page["next_cursor"].as_str().unwrap();
    let page = success(ada.get(&format!("{PATH}?limit=1&cursor={cursor}")).await, 200).await;
    assert_eq!((&page["items"], &page["next_cursor"]), (&json!([changed]), &Value::Null));

    let delete = async || ada.request(Method::DELETE, &path).send().await.unwrap();
    success(delete().await, 200).await;
    failure(ada.get(&path).await, 404, "not_found").await;
    failure(delete().await, 404, "not_found").await;
}

#[tokio::test]
async fn invalid_schedule_names_the_field() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let good = create(&ada, &body()).await;
    let path = format!("{PATH}/{}", good["id"].as_str().unwrap());
    for (field, value, named) in [
        ("name", json!(""), "name"),
        ("name", json!("x".repeat(201)), "name"),
        ("agent", json!("nobody"), "agent"),
        ("payload", json!({ "mode": 1 }), "payload.mode"),
        ("priority", json!(10), "priority"),
        ("cron", json!("* * * *"), "cron"),
        ("cron", json!("61 * * * *"), "cron"),
        ("cron", json!("0 0 30 2 *"), "cron"),
        ("time_zone", json!("Berlin"), "time_zone"),
    ] {
        let mut bad = body();
        bad[field] = value;
        names(ada.post(PATH, &bad).await, 422, "invalid_input", named).await;
        let replaced = ada.request(Method::PUT, &path).json(&bad).send().await.unwrap();
        names(replaced, 422, "invalid_input", named).await;
    }
    for field in ["missed_runs", "overlap_policy"] {
        let mut bad = body();
        bad[field] = json!("never");
        names(ada.post(PATH, &bad).await, 422, "invalid_input", field).await;
    }
    assert_eq!(success(ada.get(&path).await, 200).await, good, "a rejected change modified the schedule");
}

async fn run(user: &User<'_>, id: &str) -> Response {
    user.request(Method::POST, &format!("{PATH}/{id}/run")).send().await.unwrap()
}

#[tokio::test]
async fn schedule_runs_at_once_and_shows_its_last_task() {
    let server = Server::start().await;
    let [ada, eve] = [server.user("ada").await, server.user("eve").await];
    let made = create(&ada, &body()).await;
    assert_eq!(made["last_task"], Value::Null);
    let id = made["id"].as_str().unwrap();
    let path = format!("{PATH}/{id}");
    failure(run(&eve, id).await, 404, "not_found").await;
    let task = success(run(&ada, id).await, 202).await;
    assert_eq!(
        (&task["title"], &task["priority"], &task["owner"]),
        (&json!("Morning look"), &json!(7), &ada.signed_in["user"]["id"])
    );
    let ended = ada.ended(task["id"].as_str().unwrap()).await;
    let expected = json!({
        "id": task["id"], "status": "completed", "error": null, "finished_at": ended["finished_at"],
    });
    let shown = success(ada.get(&path).await, 200).await;
    assert_eq!((&shown["last_task"], &shown["next_run_at"]), (&expected, &made["next_run_at"]));
    assert_eq!(shown["last_run_at"], Value::Null, "it was not due");
    assert_eq!(success(ada.get(PATH).await, 200).await["items"], json!([shown]));
    let gone = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    success(ada.request(Method::DELETE, &gone).send().await.unwrap(), 200).await;
    assert_eq!(success(ada.get(&path).await, 200).await["last_task"], Value::Null);
}

#[tokio::test]
async fn schedule_runs_at_once_only_if_its_tasks_may_overlap() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for (overlap, status) in [("skip", 409), ("queue", 409), ("allow", 202)] {
        let mut waiting = body();
        waiting["payload"] = json!({ "mode": "gate" });
        waiting["overlap_policy"] = json!(overlap);
        let made = create(&ada, &waiting).await;
        let id = made["id"].as_str().unwrap();
        let first = success(run(&ada, id).await, 202).await;
        let second = run(&ada, id).await;
        assert_eq!(second.status(), status, "{overlap}");
        if status == 202 {
            server.open_gate();
        } else {
            failure(second, 409, "conflict").await;
        }
        server.open_gate();
        ada.ended(first["id"].as_str().unwrap()).await;
    }
    let mut failing = body();
    failing["payload"] = json!({ "mode": "refuse" });
    let made = create(&ada, &failing).await;
    let id = made["id"].as_str().unwrap();
    let task = success(run(&ada, id).await, 202).await;
    ada.ended(task["id"].as_str().unwrap()).await;
    let last = success(ada.get(&format!("{PATH}/{id}")).await, 200).await["last_task"].clone();
    assert_eq!((&last["status"], &last["error"]["kind"]), (&json!("failed"), &json!("invalid_input")));
}

#[tokio::test]
async fn next_times_of_an_expression_are_shown() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let times = async |query: &str| ada.get(&format!("{PATH}/times?{query}")).await;
    let found = success(times("cron=0%209%20*%20*%20*&time_zone=Asia%2FKathmandu").await, 200).await;
    let found: Vec<&str> =
        found["items"].as_array().unwrap().iter().map(|time| time.as_str().unwrap()).collect();
    assert_eq!(found.len(), 5);
    assert!(found.iter().all(|time| time.ends_with("T03:15:00Z")), "{found:?}");
    assert!(found.is_sorted() && found[0] != found[4], "{found:?}");
    let hourly = success(times("cron=0%20*%20*%20*%20*").await, 200).await;
    assert!(hourly["items"][0].as_str().unwrap().ends_with(":00:00Z"), "{hourly}");
    for (query, field) in [
        ("cron=0%209%20*%20*", "cron"),
        ("cron=0%200%2030%202%20*", "cron"),
        ("cron=", "cron"),
        ("time_zone=UTC", "cron"),
        ("cron=0%209%20*%20*%20*&time_zone=Kathmandu", "time_zone"),
        ("cron=0%209%20*%20*%20*&count=9", "count"),
    ] {
        names(times(query).await, 422, "invalid_input", field).await;
    }
    let anonymous = server.request(Method::GET, &format!("{PATH}/times?cron=0")).send().await.unwrap();
    failure(anonymous, 401, "unauthenticated").await;
}
