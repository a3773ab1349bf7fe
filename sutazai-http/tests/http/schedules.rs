//! Schedules: creation, replacement, deletion, and the tasks they submit.

use reqwest::Method;
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
