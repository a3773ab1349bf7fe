//! What belongs to somebody else is not there, on any route.

use reqwest::Method;
use serde_json::json;

use crate::support::{Server, failure, success};

#[tokio::test]
async fn a_foreign_task_answers_like_one_that_never_was() {
    let server = Server::start().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let theirs = ada.submit("gate").await;
    let nobodys = "0195f3a0-0000-7000-8000-000000000000";
    for (method, rest) in [
        (Method::GET, ""),
        (Method::DELETE, ""),
        (Method::POST, "/cancel"),
        (Method::POST, "/retry"),
        (Method::GET, "/events"),
    ] {
        let mut answers = Vec::new();
        for id in [theirs.as_str(), nobodys] {
            let answer =
                eve.request(method.clone(), &format!("/api/v1/tasks/{id}{rest}")).send().await.unwrap();
            let error = failure(answer, 404, "not_found").await;
            answers.push(error.to_string().replace(id, "ID"));
        }
        assert_eq!(answers[0], answers[1], "{method} {rest}");
    }
    assert_eq!(ada.task(&theirs).await["cancel_requested"], false);
    let list = success(eve.get("/api/v1/tasks").await, 200).await;
    assert_eq!(list, json!({ "items": [], "next_cursor": null }));
    let cursor = theirs.replace('-', "");
    let list = success(eve.get(&format!("/api/v1/tasks?cursor={cursor}")).await, 200).await;
    assert_eq!(list["items"], json!([]));
    server.open_gate();
    assert_eq!(ada.ended(&theirs).await["status"], "completed");
}

#[tokio::test]
async fn the_same_idempotency_key_of_two_users_is_two_tasks() {
    let server = Server::start().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let body = json!({ "agent": "worker", "payload": { "mode": "echo" }, "idempotency_key": "one" });
    let one = success(ada.post("/api/v1/tasks", &body).await, 202).await;
    let two = success(eve.post("/api/v1/tasks", &body).await, 202).await;
    assert_ne!(one["id"], two["id"]);
    assert_eq!(two["owner"], eve.signed_in["user"]["id"]);
}
