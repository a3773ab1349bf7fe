//! Objects of other users are 404 on every route. The routes are read from the OpenAPI description, so a new route
//! that these tests do not cover makes them fail.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use sutazai_core::domain::Caller;

use crate::documents::{Part, upload};
use crate::openai_api::refused;
use crate::openapi::{Operation, operations};
use crate::support::{Server, User, failure, success};

const NOBODYS: &str = "0195f3a0-0000-7000-8000-000000000000";

/// Operations that require no authentication.
const OPEN: [&str; 9] = [
    "GET /api/openapi.json",
    "GET /api/v1/setup",
    "GET /health",
    "GET /health/ready",
    // Requires its own token, or a program on the same machine.
    "GET /metrics",
    "POST /api/v1/auth/login",
    "POST /api/v1/auth/refresh",
    "POST /api/v1/auth/register",
    "POST /api/v1/setup",
];

/// Creates an object of `owner` for the `{id}` of this path, and returns its id.
async fn make(owner: &User<'_>, path: &str) -> String {
    let kind = path.strip_prefix("/api/v1/").and_then(|rest| rest.split("/{id}").next());
    match kind {
        Some("tasks") => owner.submit("gate").await,
        Some("auth/sessions") => {
            let sessions = success(owner.get("/api/v1/auth/sessions").await, 200).await;
            sessions["items"][0]["id"].as_str().unwrap().to_owned()
        }
        Some("auth/api-keys") => {
            let body = json!({ "name": "a key", "scopes": ["tasks:read"] });
            let key = success(owner.post("/api/v1/auth/api-keys", &body).await, 201).await;
            key["id"].as_str().unwrap().to_owned()
        }
        Some("schedules") => {
            let schedule = success(owner.post("/api/v1/schedules", &schedule()).await, 201).await;
            schedule["id"].as_str().unwrap().to_owned()
        }
        Some("conversations") => {
            let conversation = success(owner.post("/api/v1/conversations", &json!({})).await, 201).await;
            conversation["id"].as_str().unwrap().to_owned()
        }
        Some("documents") => {
            let file = Part::file("a.txt", "text/plain", b"secret");
            let document = success(upload(owner, &[file]).await, 201).await;
            document["id"].as_str().unwrap().to_owned()
        }
        Some("admin/invitations") => {
            let invitation = owner.server.identity.invite(&Caller::System, 1).await.unwrap();
            invitation.invitation.id.to_string()
        }
        Some("admin/users") => owner.signed_in["user"]["id"].as_str().unwrap().to_owned(),
        Some("admin/dead-letter") => owner.submit("refuse").await,
        _ => panic!("add how to make what {path} is about"),
    }
}

fn schedule() -> Value {
    json!({ "name": "Hourly", "agent": "worker", "payload": { "mode": "echo" }, "cron": "0 * * * *" })
}

/// Returns a valid body, so that validation is not the reason of a rejection.
fn body(operation: &Operation) -> Option<Value> {
    operation.described.get("requestBody")?;
    Some(match operation.described["operationId"].as_str().unwrap() {
        "say" => json!({ "content": "hello" }),
        "ask_again" => json!({}),
        "rename_conversation" | "rename_document" => json!({ "title": "new" }),
        "set_user_password" => json!({ "password": "a staple of batteries" }),
        "replace_schedule" => schedule(),
        "change_role" => json!({ "role": "admin" }),
        _ => panic!("add a body for {}", operation.name()),
    })
}

async fn call(user: &User<'_>, operation: &Operation, id: &str) -> Response {
    let request = user.request(operation.method.clone(), &operation.path.replace("{id}", id));
    let request = match body(operation) {
        Some(body) => request.json(&body),
        None => request,
    };
    request.send().await.unwrap()
}

fn is_for_admins(operation: &Operation) -> bool {
    operation.path.starts_with("/api/v1/admin/")
}

/// Returns whether the operation belongs to the OpenAI-compatible API, whose models have no owner.
fn is_of_the_gateway(operation: &Operation) -> bool {
    operation.path.starts_with("/v1/")
}

#[tokio::test]
async fn objects_of_another_user_are_404_on_every_route() {
    let server = Server::start().await;
    let eve = server.user("eve").await;
    let mut tried = 0;
    for operation in operations(&server).await.iter().filter(|operation| operation.path.contains('{')) {
        if is_of_the_gateway(operation) {
            continue;
        }
        let name = operation.name();
        assert_eq!(operation.path.matches('{').count(), 1, "{name}");
        assert!(
            operation.path.contains("{id}"),
            "{name}: expected the parameter of the path to be called id"
        );
        // A new owner for each route, so that no route destroys the object of the next one.
        let owner = server.user(&format!("owner_{tried}")).await;
        let theirs = make(&owner, &operation.path).await;
        if is_for_admins(operation) {
            failure(call(&eve, operation, &theirs).await, 403, "forbidden").await;
        } else {
            let mut errors = Vec::new();
            for id in [theirs.as_str(), NOBODYS] {
                let error = failure(call(&eve, operation, id).await, 404, "not_found").await;
                errors.push(error.to_string().replace(id, "ID"));
            }
            assert_eq!(errors[0], errors[1], "{name}");
            let answer = call(&owner, operation, &theirs).await;
            assert!(answer.status() != 404 && answer.status() != 403, "{name}: {}", answer.status());
        }
        tried += 1;
    }
    assert!(tried >= 13, "{tried} routes");
}

#[tokio::test]
async fn every_admin_route_rejects_users() {
    let server = Server::start().await;
    let eve = server.user("eve").await;
    let mut tried = 0;
    for operation in operations(&server).await.iter().filter(|operation| is_for_admins(operation)) {
        assert!(operation.described["responses"]["403"].is_object(), "{}", operation.name());
        let path = operation.path.replace("{id}", NOBODYS);
        let answer = eve.request(operation.method.clone(), &path).send().await.unwrap();
        failure(answer, 403, "forbidden").await;
        tried += 1;
    }
    assert!(tried >= 10, "{tried} routes");
}

#[tokio::test]
async fn every_route_but_the_open_ones_requires_authentication() {
    let server = Server::start().await;
    let mut open = Vec::new();
    for operation in operations(&server).await {
        if operation.described.get("security").is_none() {
            open.push(operation.name());
            continue;
        }
        let path = operation.path.replace("{id}", NOBODYS);
        for value in [
            None,
            Some("Bearer"),
            Some("Bearer "),
            Some("Bearer nonsense"),
            Some("Basic YTpi"),
            Some("nonsense"),
        ] {
            let request = server.request(operation.method.clone(), &path);
            let request = match value {
                Some(value) => request.header("authorization", value),
                None => request,
            };
            let answer = request.send().await.unwrap();
            assert_eq!(answer.headers()["www-authenticate"], "Bearer", "{}", operation.name());
            if is_of_the_gateway(&operation) {
                refused(answer, 401, "invalid_request_error", "invalid_api_key").await;
            } else {
                failure(answer, 401, "unauthenticated").await;
            }
        }
    }
    open.sort();
    assert_eq!(open, OPEN);
}

#[tokio::test]
async fn foreign_task_is_unaffected_and_not_listed() {
    let server = Server::start().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let theirs = ada.submit("gate").await;
    let cancel = format!("/api/v1/tasks/{theirs}/cancel");
    failure(eve.request(Method::POST, &cancel).send().await.unwrap(), 404, "not_found").await;
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
async fn idempotency_keys_are_scoped_to_their_user() {
    let server = Server::start().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let body = json!({ "agent": "worker", "payload": { "mode": "echo" }, "idempotency_key": "one" });
    let one = success(ada.post("/api/v1/tasks", &body).await, 202).await;
    let two = success(eve.post("/api/v1/tasks", &body).await, 202).await;
    assert_ne!(one["id"], two["id"]);
    assert_eq!(two["owner"], eve.signed_in["user"]["id"]);
}
