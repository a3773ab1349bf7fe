//! Operations of admins, and their refusal to ordinary users.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sutazai_core::domain::{Caller, UserRole};
use sutazai_core::ports::{Clock, SystemClock};

use crate::support::{PASSWORD, Server, User, failure, names, success};

const NOBODYS: &str = "0195f3a0-0000-7000-8000-000000000000";

async fn sign_in<'a>(server: &'a Server, name: &str) -> User<'a> {
    let body = json!({ "login": name, "password": PASSWORD });
    let answer = server.request(Method::POST, "/api/v1/auth/login").json(&body).send().await.unwrap();
    let data = success(answer, 200).await;
    User { server, token: data["access_token"].as_str().unwrap().into(), signed_in: data }
}

fn id<'a>(user: &'a User<'_>) -> &'a str {
    user.signed_in["user"]["id"].as_str().unwrap()
}

/// Registers a user and makes them an admin.
async fn admin<'a>(server: &'a Server, name: &str) -> User<'a> {
    let user = server.user(name).await;
    let id = id(&user).parse().unwrap();
    server.identity.set_role(&Caller::System, id, UserRole::Admin).await.unwrap();
    sign_in(server, name).await
}

async fn role(admin: &User<'_>, id: &str, role: &Value) -> reqwest::Response {
    let path = format!("/api/v1/admin/users/{id}/role");
    admin.request(Method::PUT, &path).json(&json!({ "role": role })).send().await.unwrap()
}

/// Returns all routes of the administration, for the user with this id.
fn routes(id: &str) -> Vec<(Method, String)> {
    vec![
        (Method::GET, "/api/v1/admin/users".into()),
        (Method::POST, format!("/api/v1/admin/users/{id}/disable")),
        (Method::POST, format!("/api/v1/admin/users/{id}/enable")),
        (Method::GET, format!("/api/v1/admin/users/{id}")),
        (Method::PUT, format!("/api/v1/admin/users/{id}/role")),
        (Method::DELETE, format!("/api/v1/admin/users/{id}")),
        (Method::GET, "/api/v1/admin/invitations".into()),
        (Method::POST, "/api/v1/admin/invitations".into()),
        (Method::GET, format!("/api/v1/admin/users/{id}/sessions")),
        (Method::DELETE, format!("/api/v1/admin/users/{id}/sessions")),
        (Method::GET, "/api/v1/admin/dead-letter".into()),
        (Method::POST, "/api/v1/admin/dead-letter/retry".into()),
        (Method::POST, format!("/api/v1/admin/dead-letter/{id}/retry")),
        (Method::GET, "/api/v1/admin/statistics".into()),
    ]
}

#[tokio::test]
async fn users_get_403_and_strangers_401_on_every_route() {
    let server = Server::start().await;
    let eve = server.user("eve").await;
    for (method, path) in routes(id(&eve)) {
        let answer =
            eve.request(method.clone(), &path).json(&json!({ "role": "admin" })).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{method} {path}");
        failure(answer, 403, "forbidden").await;
        failure(server.request(method, &path).send().await.unwrap(), 401, "unauthenticated").await;
    }
    let me = success(eve.get("/api/v1/auth/me").await, 200).await;
    assert_eq!(me["role"], "user");
}

#[tokio::test]
async fn unknown_users_and_bad_ids() {
    let server = Server::start().await;
    let root = admin(&server, "root_1").await;
    for (method, path) in routes(NOBODYS).into_iter().filter(|(_, path)| path.contains(NOBODYS)) {
        let body = json!({ "role": "admin" });
        let answer = root.request(method.clone(), &path).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{method} {path}");
        failure(answer, 404, "not_found").await;
        let bad = path.replace(NOBODYS, "1%27--");
        let field = if path.contains("dead-letter") { "task_id" } else { "user_id" };
        names(root.request(method, &bad).json(&body).send().await.unwrap(), 422, "invalid_input", field)
            .await;
    }
}

#[tokio::test]
async fn users_are_searched_and_paged() {
    let server = Server::start().await;
    let root = admin(&server, "root_1").await;
    for n in 0..5 {
        server.user(&format!("Person_{n}")).await;
    }
    let list =
        async |query: &str| success(root.get(&format!("/api/v1/admin/users?{query}")).await, 200).await;
    let names_of = |list: &Value| {
        let items = list["items"].as_array().unwrap();
        items.iter().map(|user| user["username"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = list("").await;
    assert_eq!(names_of(&all), ["Person_4", "Person_3", "Person_2", "Person_1", "Person_0", "root_1"]);
    assert_eq!(all["items"][5]["role"], "admin");
    assert_eq!(all["items"][0]["disabled"], false);
    assert!(!all.to_string().contains("argon2"), "{all}");
    assert_eq!(names_of(&list("search=person_2").await), ["Person_2"]);
    assert_eq!(names_of(&list("search=ROOT_1%40example").await), ["root_1"]);
    assert_eq!(names_of(&list("search=%25").await), Vec::<String>::new());
    let first = list("limit=4").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    server.user("latecomer").await;
    let second = list(&format!("limit=4&cursor={cursor}")).await;
    assert_eq!([names_of(&first), names_of(&second)].concat(), names_of(&all));
    assert_eq!(second["next_cursor"], Value::Null);
    for (query, field) in
        [("limit=0", "limit"), ("limit=101", "limit"), ("cursor=x", "cursor"), ("page=2", "page")]
    {
        let answer = root.get(&format!("/api/v1/admin/users?{query}")).await;
        names(answer, 422, "invalid_input", field).await;
    }
}

#[tokio::test]
async fn disabled_user_is_rejected_until_enabled() {
    let server = Server::start().await;
    let root = admin(&server, "root_1").await;
    let eve = server.user("eve").await;
    let key = json!({ "name": "x", "scopes": ["tasks:read"] });
    let key = success(eve.post("/api/v1/auth/api-keys", &key).await, 201).await["key"].clone();
    let with_key =
        || server.request(Method::GET, "/api/v1/tasks").header("x-api-key", key.as_str().unwrap()).send();
    success(with_key().await.unwrap(), 200).await;
    let path = |verb: &str| format!("/api/v1/admin/users/{}/{verb}", id(&eve));
    let data = success(root.post(&path("disable"), &json!({})).await, 200).await;
    assert_eq!((&data["disabled"], &data["username"]), (&json!(true), &json!("eve")));
    failure(eve.get("/api/v1/auth/me").await, 401, "unauthenticated").await;
    failure(with_key().await.unwrap(), 401, "unauthenticated").await;
    let login = json!({ "login": "eve", "password": PASSWORD });
    let answer = server.request(Method::POST, "/api/v1/auth/login").json(&login).send().await.unwrap();
    failure(answer, 403, "forbidden").await;
    let refresh = json!({ "refresh_token": eve.signed_in["refresh_token"] });
    let answer = server.request(Method::POST, "/api/v1/auth/refresh").json(&refresh).send().await.unwrap();
    failure(answer, 401, "unauthenticated").await;

    let data = success(root.post(&path("enable"), &json!({})).await, 200).await;
    assert_eq!(data["disabled"], false);
    failure(eve.get("/api/v1/auth/me").await, 401, "unauthenticated").await;
    success(with_key().await.unwrap(), 200).await;
    success(sign_in(&server, "eve").await.get("/api/v1/auth/me").await, 200).await;
}

#[tokio::test]
async fn role_applies_from_the_next_sign_in() {
    let server = Server::start().await;
    let (root, eve) = (admin(&server, "root_1").await, server.user("eve").await);
    let data = success(role(&root, id(&eve), &json!("admin")).await, 200).await;
    assert_eq!(data["role"], "admin");
    failure(eve.get("/api/v1/auth/me").await, 401, "unauthenticated").await;
    let eve = sign_in(&server, "eve").await;
    success(eve.get("/api/v1/admin/users").await, 200).await;
    success(role(&root, id(&eve), &json!("admin")).await, 200).await;
    success(eve.get("/api/v1/admin/users").await, 200).await; // no change, so nothing ended
    success(role(&root, id(&eve), &json!("user")).await, 200).await;
    failure(eve.get("/api/v1/admin/users").await, 401, "unauthenticated").await;
    failure(sign_in(&server, "eve").await.get("/api/v1/admin/users").await, 403, "forbidden").await;
    for bad in [json!("root"), json!(7), Value::Null] {
        names(role(&root, id(&eve), &bad).await, 422, "invalid_input", "role").await;
    }
}

#[tokio::test]
async fn admin_cannot_disable_or_demote_themselves() {
    let server = Server::start().await;
    let root = admin(&server, "root_1").await;
    let path = format!("/api/v1/admin/users/{}/disable", id(&root));
    failure(root.post(&path, &json!({})).await, 409, "conflict").await;
    failure(role(&root, id(&root), &json!("user")).await, 409, "conflict").await;
    success(root.get("/api/v1/admin/users").await, 200).await;
}

#[tokio::test]
async fn admin_lists_and_revokes_sessions_of_a_user() {
    let server = Server::start().await;
    let (root, eve) = (admin(&server, "root_1").await, server.user("eve").await);
    let path = format!("/api/v1/admin/users/{}/sessions", id(&eve));
    let seen = success(root.get(&path).await, 200).await;
    assert_eq!((seen["items"].as_array().unwrap().len(), &seen["items"][0]["current"]), (1, &json!(false)));
    let ended = root.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(success(ended, 200).await, json!({ "ended": 1 }));
    failure(eve.get("/api/v1/auth/me").await, 401, "unauthenticated").await;
    assert_eq!(success(root.get(&path).await, 200).await, json!({ "items": [] }));
}

#[tokio::test]
async fn failed_tasks_are_seen_and_retried() {
    let server = Server::start().await;
    let root = admin(&server, "root_1").await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let mut failed = Vec::new();
    for user in [&ada, &eve, &eve] {
        let task = user.submit("refuse").await;
        assert_eq!(user.ended(&task).await["status"], "failed");
        failed.push(task);
    }
    let good = ada.submit("echo").await;
    ada.ended(&good).await;
    let list = async |query: &str| {
        let data = success(root.get(&format!("/api/v1/admin/dead-letter?{query}")).await, 200).await;
        let items = data["items"].as_array().unwrap();
        items.iter().map(|task| task["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let newest_first: Vec<String> = failed.iter().rev().cloned().collect();
    assert_eq!(list("").await, newest_first);
    assert_eq!(list("agent=worker&limit=2").await, newest_first[..2]);
    assert_eq!(list("agent=nobody").await, Vec::<String>::new());
    for (query, field) in [("status=pending", "status"), ("limit=0", "limit"), ("cursor=x", "cursor")] {
        names(root.get(&format!("/api/v1/admin/dead-letter?{query}")).await, 422, "invalid_input", field)
            .await;
    }
    let retry =
        async |id: &str| root.post(&format!("/api/v1/admin/dead-letter/{id}/retry"), &json!({})).await;
    let again = success(retry(&failed[0]).await, 200).await;
    assert_eq!((&again["status"], &again["failures"]), (&json!("pending"), &json!(0)));
    assert_eq!(ada.ended(&failed[0]).await["attempt"], 2);
    failure(retry(&good).await, 409, "conflict").await;

    let all = async |body: &Value| root.post("/api/v1/admin/dead-letter/retry", body).await;
    names(all(&json!({ "agents": "worker" })).await, 422, "invalid_input", "agents").await;
    assert_eq!(success(all(&json!({ "agent": "nobody" })).await, 200).await, json!({ "retried": 0 }));
    assert_eq!(success(all(&json!({ "agent": "worker" })).await, 200).await, json!({ "retried": 3 }));
    for (user, task) in [(&ada, &failed[0]), (&eve, &failed[1]), (&eve, &failed[2])] {
        let task = user.ended(task).await;
        assert_eq!(task["status"], "failed");
        assert!(task["attempt"].as_u64() >= Some(2), "{task}");
    }
    let answer = root.request(Method::POST, "/api/v1/admin/dead-letter/retry").send().await.unwrap();
    assert_eq!(success(answer, 200).await, json!({ "retried": 3 }));
}

#[tokio::test]
async fn statistics() {
    let server = Server::start().await;
    let root = admin(&server, "root_1").await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    for (mode, times) in [("echo", 2), ("refuse", 1)] {
        for _ in 0..times {
            let task = ada.submit(mode).await;
            ada.ended(&task).await;
        }
    }
    let tomorrow = (SystemClock.now() + Duration::from_secs(86_400)).to_rfc3339();
    let later = json!({ "agent": "worker", "payload": { "mode": "echo" }, "run_at": tomorrow });
    success(ada.post("/api/v1/tasks", &later).await, 202).await;
    let path = format!("/api/v1/admin/users/{}/disable", id(&eve));
    success(root.post(&path, &json!({})).await, 200).await;
    let found = success(root.get("/api/v1/admin/statistics").await, 200).await;
    let expected = json!({
        "users": { "total": 3, "disabled": 1, "active": 2 },
        "tasks": {
            "total": 4,
            "by_status": { "pending": 1, "processing": 0, "completed": 2, "failed": 1, "cancelled": 0 },
            "by_agent": { "worker": { "pending": 1, "completed": 2, "failed": 1 } }
        },
        "queue": { "depth": 1, "oldest_age_seconds": 0.0 }
    });
    assert_eq!(found, expected);
    // Four gated tasks occupy all workers, so the fifth task stays pending. It is not prefetched either, because no
    // attempt has ended just before.
    SystemClock.sleep(Duration::from_millis(20)).await;
    let held: Vec<String> = futures::future::join_all((0..5).map(|_| ada.submit("gate"))).await;
    SystemClock.sleep(Duration::from_millis(300)).await;
    let found = success(root.get("/api/v1/admin/statistics").await, 200).await;
    let age = found["queue"]["oldest_age_seconds"].as_f64().unwrap();
    assert!((0.25..30.0).contains(&age), "{found}");
    for _ in &held {
        server.open_gate();
    }
    for task in held {
        ada.ended(&task).await;
    }
}

#[tokio::test]
async fn server_without_users_has_task_administration_only() {
    let server = Server::start_with(vec![], false, |router| router).await;
    let ask = async |method: Method, path: &str| server.request(method, path).send().await.unwrap();
    let found = success(ask(Method::GET, "/api/v1/admin/statistics").await, 200).await;
    assert_eq!((&found["users"], &found["tasks"]["total"]), (&Value::Null, &json!(0)));
    success(ask(Method::GET, "/api/v1/admin/dead-letter").await, 200).await;
    for path in ["/api/v1/admin/users", "/api/v1/auth/sessions", "/api/v1/auth/api-keys"] {
        failure(ask(Method::GET, path).await, 501, "unsupported").await;
    }
}

#[tokio::test]
async fn admin_creates_users_and_shows_them() {
    let server = Server::start().await;
    let (root, eve) = (admin(&server, "root_1").await, server.user("eve").await);
    let path = "/api/v1/admin/users";
    let body = json!({ "username": "ada", "email": "ada@example.org", "password": PASSWORD });
    failure(eve.post(path, &body).await, 403, "forbidden").await;
    let ada = success(root.post(path, &body).await, 201).await;
    assert_eq!(
        (&ada["username"], &ada["role"], &ada["disabled"], &ada["last_login_at"]),
        (&json!("ada"), &json!("user"), &json!(false), &Value::Null)
    );
    let shown = format!("{path}/{}", ada["id"].as_str().unwrap());
    assert_eq!(success(root.get(&shown).await, 200).await, ada);
    failure(eve.get(&shown).await, 403, "forbidden").await;
    failure(root.get(&format!("{path}/{NOBODYS}")).await, 404, "not_found").await;
    sign_in(&server, "ada").await;
    let second = json!({
        "username": "root_2", "email": "root_2@example.org", "password": PASSWORD, "role": "admin",
    });
    assert_eq!(success(root.post(path, &second).await, 201).await["role"], "admin");
    success(sign_in(&server, "root_2").await.get(path).await, 200).await;
    names(root.post(path, &body).await, 409, "conflict", "username").await;
    for (field, value) in [
        ("username", json!("a b")),
        ("email", json!("ada")),
        ("password", json!("password1")),
        ("role", json!("root")),
        ("disabled", json!(true)),
    ] {
        let mut bad = json!({ "username": "bob", "email": "bob@example.org", "password": PASSWORD });
        bad[field] = value;
        names(root.post(path, &bad).await, 422, "invalid_input", field).await;
    }
}

#[tokio::test]
async fn admin_sets_the_password_of_another_user() {
    let server = Server::start().await;
    let (root, eve) = (admin(&server, "root_1").await, server.user("eve").await);
    let ada = server.user("ada").await;
    let body = json!({ "name": "a key", "scopes": ["tasks:read"] });
    let key = success(ada.post("/api/v1/auth/api-keys", &body).await, 201).await;
    let set = async |by: &User<'_>, id: &str, password: &str| {
        let path = format!("/api/v1/admin/users/{id}/password");
        by.request(Method::PUT, &path).json(&json!({ "password": password })).send().await.unwrap()
    };
    let new = "a staple of batteries";
    failure(set(&eve, id(&ada), new).await, 403, "forbidden").await;
    failure(set(&root, id(&root), new).await, 409, "conflict").await;
    failure(set(&root, NOBODYS, new).await, 404, "not_found").await;
    for weak in ["short", "password1", "ada@example.org"] {
        names(set(&root, id(&ada), weak).await, 422, "invalid_input", "password").await;
    }
    let changed = success(set(&root, id(&ada), new).await, 200).await;
    assert_eq!(changed, json!({ "ended": 1, "revoked_keys": 1 }));
    failure(ada.get("/api/v1/auth/me").await, 401, "unauthenticated").await;
    let with_key = server.request(Method::GET, "/api/v1/tasks").bearer_auth(key["key"].as_str().unwrap());
    failure(with_key.send().await.unwrap(), 401, "unauthenticated").await;
    let login = async |password: &str| {
        let body = json!({ "login": "ada", "password": password });
        server.request(Method::POST, "/api/v1/auth/login").json(&body).send().await.unwrap()
    };
    failure(login(PASSWORD).await, 401, "unauthenticated").await;
    success(login(new).await, 200).await;
    success(eve.get("/api/v1/auth/me").await, 200).await;
}
