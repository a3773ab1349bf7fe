//! Complete successful workflow of one user.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use crate::support::{PASSWORD, Server, failure, success};

#[tokio::test]
async fn user_registers_works_and_signs_out() {
    let server = Server::start().await;
    let health = success(server.request(Method::GET, "/health").send().await.unwrap(), 200).await;
    assert_eq!(
        (&health["status"], &health["version"]),
        (&json!("healthy"), &json!(env!("CARGO_PKG_VERSION")))
    );
    assert!(health["uptime_seconds"].is_u64());

    let ada = server.user("ada").await;
    let data = &ada.signed_in;
    assert_eq!((&data["token_type"], &data["expires_in"]), (&json!("bearer"), &json!(1_800)));
    assert!(data["refresh_token"].as_str().is_some_and(|token| token.len() > 64));
    let me = success(ada.get("/api/v1/auth/me").await, 200).await;
    assert_eq!(me, data["user"]);
    assert_eq!(
        (&me["username"], &me["email"], &me["role"]),
        (&json!("ada"), &json!("ada@example.org"), &json!("user"))
    );
    let keys: BTreeSet<&str> = me.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(Vec::from_iter(keys), ["created_at", "email", "id", "last_login_at", "role", "username"]);

    let agents = success(ada.get("/api/v1/agents").await, 200).await;
    assert_eq!(agents["items"][0]["name"], "worker");
    assert_eq!(agents["items"][0]["input_schema"]["required"], json!(["mode"]));
    let metrics = success(ada.get("/api/v1/system/metrics").await, 200).await;
    assert_eq!(metrics["host"]["status"], "missing");

    let body = json!({
        "agent": "worker", "payload": { "mode": "echo", "text": "hello" }, "title": "Say it", "description": "again",
        "priority": 9, "timeout_seconds": 20, "max_attempts": 2
    });
    let begun = success(ada.post("/api/v1/tasks", &body).await, 202).await;
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(&begun[field], value, "{field}");
    }
    assert_eq!((&begun["status"], &begun["owner"]), (&json!("pending"), &me["id"]));
    let id = begun["id"].as_str().unwrap();

    let events = ada.events(id, 0).await;
    assert_eq!(
        events.iter().map(|event| event.id).collect::<Vec<_>>(),
        (1..=events.len() as u64).collect::<Vec<_>>()
    );
    let statuses: Vec<_> = events.iter().map(|event| event.data["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["pending", "processing", "completed"]);
    let done = ada.task(id).await;
    assert_eq!((&done["status"], &done["result"]), (&json!("completed"), &json!({ "echo": "hello" })));
    for hidden in ["state", "worker", "lease_until", "waiting_for"] {
        assert!(done.get(hidden).is_none(), "{hidden} is the workers' business");
    }

    let gone = ada.request(Method::DELETE, &format!("/api/v1/tasks/{id}")).send().await.unwrap();
    assert_eq!(success(gone, 200).await, json!({ "id": id }));
    failure(ada.get(&format!("/api/v1/tasks/{id}")).await, 404, "not_found").await;

    success(ada.post("/api/v1/auth/logout", &json!({})).await, 200).await;
    failure(ada.get("/api/v1/auth/me").await, 401, "unauthenticated").await;
    let login = json!({ "login": "ada", "password": PASSWORD });
    success(server.request(Method::POST, "/api/v1/auth/login").json(&login).send().await.unwrap(), 200).await;
}

#[tokio::test]
async fn server_without_users_treats_every_caller_as_system() {
    let server = Server::start_with(vec![], false, |router| router).await;
    let body = json!({ "agent": "worker", "payload": { "mode": "echo" } });
    let task = server.request(Method::POST, "/api/v1/tasks").json(&body).send().await.unwrap();
    assert_eq!(success(task, 202).await["owner"], json!(null));
    let list = server.request(Method::GET, "/api/v1/tasks").send().await.unwrap();
    assert_eq!(success(list, 200).await["items"].as_array().unwrap().len(), 1);
    for (method, path) in [(Method::GET, "me"), (Method::POST, "logout")] {
        let answer = server.request(method, &format!("/api/v1/auth/{path}")).send().await.unwrap();
        failure(answer, 501, "unsupported").await;
    }
}
