//! Submission, listing, cancellation and retry of tasks.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Server, User, failure, names, success};

async fn ids(user: &User<'_>, query: &str) -> Vec<String> {
    let page = success(user.get(&format!("/api/v1/tasks?{query}")).await, 200).await;
    page["items"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn paging_skips_and_repeats_no_task_while_others_are_added() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let mut before = Vec::new();
    for _ in 0..25 {
        before.push(ada.submit("echo").await);
    }
    before.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = success(ada.get(&format!("/api/v1/tasks?limit=10{cursor}")).await, 200).await;
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()),
        );
        ada.submit("echo").await;
        match &page["next_cursor"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            end => break assert_eq!(end, &Value::Null),
        }
    }
    assert_eq!(seen, before);
    assert_eq!(ids(&ada, "").await.len(), 20, "the default page size changed");
    assert_eq!(ids(&ada, "limit=100").await.len(), 28);
}

#[tokio::test]
async fn task_list_is_filtered() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let good = ada.submit("echo").await;
    ada.ended(&good).await;
    let bad = ada.submit("refuse").await;
    ada.ended(&bad).await;
    assert_eq!(ids(&ada, "status=completed").await, std::slice::from_ref(&good));
    assert_eq!(ids(&ada, "status=failed").await, std::slice::from_ref(&bad));
    assert_eq!(ids(&ada, "status=pending").await, [""; 0]);
    assert_eq!(ids(&ada, "agent=worker").await, [bad.clone(), good.clone()]);
    assert_eq!(ids(&ada, "agent=other").await, [""; 0]);
    let between = ada.task(&bad).await["created_at"].as_str().unwrap().replace('+', "%2B");
    assert_eq!(ids(&ada, &format!("created_after={between}")).await, [bad]);
    assert_eq!(ids(&ada, &format!("created_before={between}&status=completed")).await, [good]);
}

#[tokio::test]
async fn idempotency_key_returns_the_same_task() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let post = async |key: &str, body: &Value| {
        ada.request(Method::POST, "/api/v1/tasks")
            .header("Idempotency-Key", key)
            .json(body)
            .send()
            .await
            .unwrap()
    };
    let body = json!({ "agent": "worker", "payload": { "mode": "echo" } });
    let mut tasks = HashSet::new();
    for _ in 0..3 {
        let task = success(post("once", &body).await, 202).await;
        assert_eq!(task["idempotency_key"], "once");
        tasks.insert(task["id"].to_string());
    }
    assert_eq!(tasks.len(), 1);
    let other = json!({ "agent": "worker", "payload": { "mode": "echo", "text": "other" } });
    names(post("once", &other).await, 409, "conflict", "idempotency_key").await;
    for (field, value) in [
        ("title", json!("x")),
        ("description", json!("x")),
        ("priority", json!(9)),
        ("timeout_seconds", json!(1)),
        ("max_attempts", json!(1)),
    ] {
        let mut changed = body.clone();
        changed[field] = value;
        names(post("once", &changed).await, 409, "conflict", "idempotency_key").await;
    }
    success(post("twice", &other).await, 202).await;
    assert_eq!(ids(&ada, "").await.len(), 2);

    let both = json!({ "agent": "worker", "payload": { "mode": "echo" }, "idempotency_key": "inside" });
    names(post("outside", &both).await, 422, "invalid_input", "idempotency-key").await;
    success(post("inside", &both).await, 202).await;
    for bad in ["", &"x".repeat(201)] {
        names(post(bad, &body).await, 422, "invalid_input", "idempotency_key").await;
    }
}

#[tokio::test]
async fn deduplication_key_returns_the_active_task() {
    let server = Server::start().await;
    let [ada, eve] = [server.user("ada").await, server.user("eve").await];
    let body = json!({ "agent": "worker", "payload": { "mode": "gate" }, "unique_key": "nightly" });
    let first = success(ada.post("/api/v1/tasks", &body).await, 202).await;
    assert_eq!(first["unique_key"], "nightly");
    let mut other = body.clone();
    other["priority"] = json!(9);
    let again = success(ada.post("/api/v1/tasks", &other).await, 202).await;
    assert_eq!((&again["id"], &again["priority"]), (&first["id"], &json!(5)));
    let foreign = success(eve.post("/api/v1/tasks", &body).await, 202).await;
    assert_ne!(foreign["id"], first["id"], "a deduplication key applied to another user");
    let id = first["id"].as_str().unwrap();
    success(ada.post(&format!("/api/v1/tasks/{id}/cancel"), &json!({})).await, 200).await;
    while ada.task(id).await["status"] != "cancelled" {
        tokio::task::yield_now().await;
    }
    let next = success(ada.post("/api/v1/tasks", &body).await, 202).await;
    assert_ne!(next["id"], first["id"]);

    other["idempotency_key"] = json!("once");
    names(ada.post("/api/v1/tasks", &other).await, 422, "invalid_input", "unique_key").await;
    for bad in ["", &"x".repeat(201)] {
        other = body.clone();
        other["unique_key"] = json!(bad);
        names(ada.post("/api/v1/tasks", &other).await, 422, "invalid_input", "unique_key").await;
    }
}

#[tokio::test]
async fn unchanged_task_is_304() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let id = ada.submit("gate").await;
    while ada.task(&id).await["status"] != "processing" {
        tokio::task::yield_now().await;
    }
    let path = format!("/api/v1/tasks/{id}");
    let tag_of = async || {
        let answer = ada.get(&path).await;
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        success(answer, 200).await;
        tag
    };
    let asked = async |known: &str| {
        ada.request(Method::GET, &path).header("If-None-Match", known).send().await.unwrap()
    };
    let tag = tag_of().await;
    assert!(tag.starts_with("W/\""), "{tag}");
    assert_eq!(tag_of().await, tag);
    let strong = tag.trim_start_matches("W/");
    for known in [tag.clone(), strong.to_owned(), "*".into(), format!("\"a\", {tag} , W/\"b\"")] {
        let answer = asked(&known).await;
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["etag"].to_str().unwrap()),
            (304, tag.as_str())
        );
        assert_eq!(answer.headers().get("content-type"), None);
        assert_eq!(answer.bytes().await.unwrap().len(), 0);
    }
    for other in ["", "\"a\"", "W/\"\"", strong.trim_matches('"')] {
        success(asked(other).await, 200).await;
    }
    success(ada.post(&format!("{path}/cancel"), &json!({})).await, 200).await;
    success(asked(&tag).await, 200).await;
    ada.ended(&id).await;
    let last = tag_of().await;
    assert_ne!(last, tag);
    assert_eq!(asked(&last).await.status(), 304);
    // An unknown or foreign task is 404, also in a conditional request.
    let eve = server.user("eve").await;
    let foreign = eve.request(Method::GET, &path).header("If-None-Match", "*").send().await.unwrap();
    failure(foreign, 404, "not_found").await;
}

#[tokio::test]
async fn running_task_is_cancelled() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let id = ada.submit("gate").await;
    while ada.task(&id).await["status"] != "processing" {
        tokio::task::yield_now().await;
    }
    let delete = ada.request(Method::DELETE, &format!("/api/v1/tasks/{id}"));
    failure(delete.send().await.unwrap(), 409, "conflict").await;
    let asked = success(ada.post(&format!("/api/v1/tasks/{id}/cancel"), &json!({})).await, 200).await;
    assert!(asked["cancel_requested"] == true || asked["status"] == "cancelled", "{asked}");
    let done = ada.ended(&id).await;
    assert_eq!((&done["status"], &done["result"]), (&json!("cancelled"), &Value::Null));
    failure(ada.post(&format!("/api/v1/tasks/{id}/cancel"), &json!({})).await, 409, "conflict").await;
}

#[tokio::test]
async fn failed_task_is_retried() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let id = ada.submit("refuse").await;
    let failed = ada.ended(&id).await;
    assert_eq!((&failed["status"], &failed["error"]["kind"]), (&json!("failed"), &json!("invalid_input")));
    let again = success(ada.post(&format!("/api/v1/tasks/{id}/retry"), &json!({})).await, 200).await;
    assert_eq!((&again["status"], &again["failures"]), (&json!("pending"), &json!(0)));
    let failed = ada.ended(&id).await;
    assert_eq!((&failed["status"], &failed["attempt"]), (&json!("failed"), &json!(2)));
    let good = ada.submit("echo").await;
    ada.ended(&good).await;
    failure(ada.post(&format!("/api/v1/tasks/{good}/retry"), &json!({})).await, 409, "conflict").await;
}
