//! Sessions, password and API keys of the caller's own account, and the limits of API keys.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sutazai_core::domain::{Caller, UserRole};
use sutazai_core::ports::{Clock, SystemClock};

use crate::support::{PASSWORD, Server, User, failure, names, success};

const NEW_PASSWORD: &str = "another good password";
const NOBODYS: &str = "0195f3a0-0000-7000-8000-000000000000";

/// Signs in again, with `program` as the `User-Agent`.
async fn sign_in<'a>(server: &'a Server, name: &str, password: &str, program: &str) -> User<'a> {
    let body = json!({ "login": name, "password": password });
    let request = server.request(Method::POST, "/api/v1/auth/login").header("user-agent", program);
    let data = success(request.json(&body).send().await.unwrap(), 200).await;
    User { server, token: data["access_token"].as_str().unwrap().into(), signed_in: data }
}

async fn is_in(user: &User<'_>) -> bool {
    user.get("/api/v1/auth/me").await.status() == 200
}

async fn can_refresh(user: &User<'_>) -> bool {
    let body = json!({ "refresh_token": user.signed_in["refresh_token"] });
    let request = user.server.request(Method::POST, "/api/v1/auth/refresh").json(&body);
    request.send().await.unwrap().status() == 200
}

async fn sessions(user: &User<'_>) -> Vec<Value> {
    let data = success(user.get("/api/v1/auth/sessions").await, 200).await;
    data["items"].as_array().unwrap().clone()
}

async fn delete(user: &User<'_>, path: &str) -> Response {
    user.request(Method::DELETE, path).send().await.unwrap()
}

#[tokio::test]
async fn user_lists_their_sessions_and_ends_one() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let eve = server.user("eve").await;
    let phone = sign_in(&server, "ada", PASSWORD, "phone/1.0").await;
    let laptop = sign_in(&server, "ada", PASSWORD, &"x".repeat(300)).await;
    let seen = sessions(&phone).await;
    let programs: Vec<&Value> = seen.iter().map(|session| &session["user_agent"]).collect();
    assert_eq!(programs, [&json!("x".repeat(200)), &json!("phone/1.0"), &Value::Null]);
    let current: Vec<&Value> = seen.iter().map(|session| &session["current"]).collect();
    assert_eq!(current, [false, true, false]);
    for session in &seen {
        assert_eq!(session["created_at"], session["last_used_at"]);
        assert!(session["expires_at"].as_str() > session["created_at"].as_str());
        assert_eq!(session.as_object().unwrap().len(), 6, "{session}");
    }
    let path = |session: &Value| format!("/api/v1/auth/sessions/{}", session["id"].as_str().unwrap());
    success(delete(&phone, &path(&seen[0])).await, 200).await;
    assert!(!is_in(&laptop).await && !can_refresh(&laptop).await);
    assert!(is_in(&phone).await && is_in(&ada).await);
    assert_eq!(sessions(&ada).await.len(), 2);

    // An ended, a foreign and an unknown session are indistinguishable.
    let theirs = sessions(&eve).await.remove(0);
    for path in [path(&seen[0]), path(&theirs), format!("/api/v1/auth/sessions/{NOBODYS}")] {
        failure(delete(&phone, &path).await, 404, "not_found").await;
    }
    names(delete(&phone, "/api/v1/auth/sessions/1").await, 422, "invalid_input", "session_id").await;
    assert!(is_in(&eve).await && can_refresh(&eve).await);
}

#[tokio::test]
async fn logout_all_ends_every_session_of_one_user() {
    let server = Server::start().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let phone = sign_in(&server, "ada", PASSWORD, "phone/1.0").await;
    let data = success(phone.post("/api/v1/auth/logout-all", &json!({})).await, 200).await;
    assert_eq!(data, json!({ "ended": 2 }));
    for user in [&ada, &phone] {
        failure(user.get("/api/v1/tasks").await, 401, "unauthenticated").await;
        assert!(!can_refresh(user).await);
    }
    assert!(is_in(&eve).await);
    assert!(is_in(&sign_in(&server, "ada", PASSWORD, "phone/1.0").await).await);
}

#[tokio::test]
async fn password_change_ends_other_sessions() {
    let server = Server::start().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let thief = sign_in(&server, "ada", PASSWORD, "thief").await;
    let change = |current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        ada.request(Method::POST, "/api/v1/auth/password").json(&body).send()
    };
    let wrong = failure(change("wrong password", NEW_PASSWORD).await.unwrap(), 403, "forbidden").await;
    assert_eq!(wrong["details"]["field"], "current_password");
    for (current, new, field) in [
        (PASSWORD, "short", "new_password"),
        (PASSWORD, "password1", "new_password"),
        (PASSWORD, "ada@example.org", "new_password"),
        (PASSWORD, PASSWORD, "new_password"),
        (&"x".repeat(1_025), NEW_PASSWORD, "current_password"),
    ] {
        names(change(current, new).await.unwrap(), 422, "invalid_input", field).await;
    }
    for (field, body) in [
        ("new_password", json!({ "current_password": PASSWORD })),
        ("password", json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD, "password": "x" })),
    ] {
        names(ada.post("/api/v1/auth/password", &body).await, 422, "invalid_input", field).await;
    }
    assert!(is_in(&thief).await && can_refresh(&thief).await, "a rejected change ended a session");

    let data = success(change(PASSWORD, NEW_PASSWORD).await.unwrap(), 200).await;
    assert_eq!(data, json!({ "ended": 1, "revoked_keys": 0 }));
    assert!(!is_in(&thief).await && !can_refresh(&thief).await);
    assert!(is_in(&ada).await && can_refresh(&ada).await && is_in(&eve).await);
    let body = json!({ "login": "ada", "password": PASSWORD });
    let old = server.request(Method::POST, "/api/v1/auth/login").json(&body).send().await.unwrap();
    failure(old, 401, "unauthenticated").await;
    sign_in(&server, "ada", NEW_PASSWORD, "laptop").await;
}

/// Creates an API key; returns its description and its plaintext separately.
async fn make_key(user: &User<'_>, body: &Value) -> (Value, String) {
    let mut data = success(user.post("/api/v1/auth/api-keys", body).await, 201).await;
    let text = data.as_object_mut().unwrap().remove("key").unwrap();
    (data, text.as_str().unwrap().to_owned())
}

fn with_key(server: &Server, method: Method, path: &str, key: &str) -> RequestBuilder {
    server.request(method, path).header("x-api-key", key)
}

#[tokio::test]
async fn api_key_works_in_both_headers_until_deleted() {
    let server = Server::start().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let body = json!({ "name": "Nightly backup", "scopes": ["tasks:write", "tasks:read"] });
    let (made, key) = make_key(&ada, &body).await;
    assert!(key.starts_with("sutz_") && key.starts_with(made["prefix"].as_str().unwrap()), "{made}");
    assert_eq!(
        (&made["name"], &made["scopes"]),
        (&json!("Nightly backup"), &json!(["tasks:read", "tasks:write"]))
    );
    let time = |field: &str| chrono::DateTime::parse_from_rfc3339(made[field].as_str().unwrap()).unwrap();
    assert_eq!((time("expires_at") - time("created_at")).num_days(), 90);
    assert_eq!(made["last_used_at"], Value::Null);
    assert_eq!(success(ada.get("/api/v1/auth/api-keys").await, 200).await, json!({ "items": [made] }));
    assert_eq!(success(eve.get("/api/v1/auth/api-keys").await, 200).await, json!({ "items": [] }));

    let task = json!({ "agent": "worker", "payload": { "mode": "echo" } });
    let answer =
        server.request(Method::POST, "/api/v1/tasks").bearer_auth(&key).json(&task).send().await.unwrap();
    let task = success(answer, 202).await;
    assert_eq!(task["owner"], ada.signed_in["user"]["id"]);
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    let answer = with_key(&server, Method::GET, &path, &key).send().await.unwrap();
    assert_eq!(success(answer, 200).await["id"], task["id"]);
    let me = with_key(&server, Method::GET, "/api/v1/auth/me", &key).send().await.unwrap();
    assert_eq!(success(me, 200).await["username"], "ada");
    let listed = success(ada.get("/api/v1/auth/api-keys").await, 200).await;
    assert!(listed["items"][0]["last_used_at"].is_string(), "{listed}");
    assert!(!listed.to_string().contains(&key[13..]));

    // Objects of other users are 404 for her key too.
    let theirs = eve.submit("echo").await;
    let path = format!("/api/v1/tasks/{theirs}");
    failure(with_key(&server, Method::GET, &path, &key).send().await.unwrap(), 404, "not_found").await;

    let path = format!("/api/v1/auth/api-keys/{}", made["id"].as_str().unwrap());
    failure(delete(&eve, &path).await, 404, "not_found").await;
    success(delete(&ada, &path).await, 200).await;
    failure(delete(&ada, &path).await, 404, "not_found").await;
    names(delete(&ada, "/api/v1/auth/api-keys/1").await, 422, "invalid_input", "api_key_id").await;
    let answer = with_key(&server, Method::GET, "/api/v1/tasks", &key).send().await.unwrap();
    failure(answer, 401, "unauthenticated").await;
}

#[tokio::test]
async fn api_key_is_limited_to_its_scopes() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    // No scope allows a key to manage sessions, passwords, keys or users, not even a key of an admin.
    let id = ada.signed_in["user"]["id"].as_str().unwrap().parse().unwrap();
    server.identity.set_role(&Caller::System, id, UserRole::Admin).await.unwrap();
    let ada = sign_in(&server, "ada", PASSWORD, "laptop").await;
    let mut keys = Vec::new();
    for scope in ["tasks:read", "tasks:write", "metrics:read"] {
        keys.push(make_key(&ada, &json!({ "name": scope, "scopes": [scope] })).await.1);
    }
    let task = ada.submit("echo").await;
    ada.ended(&task).await;
    for (method, path, allowed) in [
        (Method::GET, "/api/v1/tasks".to_owned(), Some(0)),
        (Method::GET, format!("/api/v1/tasks/{task}"), Some(0)),
        (Method::GET, format!("/api/v1/tasks/{task}/events"), Some(0)),
        (Method::GET, "/api/v1/agents".to_owned(), Some(0)),
        (Method::POST, "/api/v1/tasks".to_owned(), Some(1)),
        (Method::POST, format!("/api/v1/tasks/{task}/cancel"), Some(1)),
        (Method::POST, format!("/api/v1/tasks/{task}/retry"), Some(1)),
        (Method::DELETE, format!("/api/v1/tasks/{NOBODYS}"), Some(1)),
        (Method::POST, "/api/v1/agents/hardware-optimizer/analyze".to_owned(), Some(1)),
        (Method::GET, "/api/v1/system/metrics".to_owned(), Some(2)),
        (Method::GET, "/api/v1/system/metrics/history?series=a".to_owned(), Some(2)),
        (Method::GET, "/api/v1/system/metrics/series".to_owned(), Some(2)),
        (Method::GET, "/api/v1/agents/hardware-optimizer/rules".to_owned(), Some(2)),
        (Method::POST, "/api/v1/auth/logout".to_owned(), None),
        (Method::POST, "/api/v1/auth/logout-all".to_owned(), None),
        (Method::POST, "/api/v1/auth/password".to_owned(), None),
        (Method::GET, "/api/v1/auth/sessions".to_owned(), None),
        (Method::DELETE, format!("/api/v1/auth/sessions/{NOBODYS}"), None),
        (Method::GET, "/api/v1/auth/api-keys".to_owned(), None),
        (Method::POST, "/api/v1/auth/api-keys".to_owned(), None),
        (Method::DELETE, format!("/api/v1/auth/api-keys/{NOBODYS}"), None),
        (Method::GET, "/api/v1/admin/users".to_owned(), None),
        (Method::GET, "/api/v1/admin/statistics".to_owned(), None),
        (Method::POST, "/api/v1/admin/dead-letter/retry".to_owned(), None),
    ] {
        for (which, key) in keys.iter().enumerate() {
            let answer = with_key(&server, method.clone(), &path, key).send().await.unwrap();
            let forbidden = answer.status() == 403;
            assert_eq!(
                forbidden,
                allowed != Some(which),
                "{method} {path} with key {which}: {}",
                answer.status()
            );
            if forbidden {
                failure(answer, 403, "forbidden").await;
            }
        }
    }
    assert!(is_in(&ada).await);
}

#[tokio::test]
async fn invalid_api_key_requests_and_keys_are_rejected() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let scopes = json!(["tasks:read"]);
    for (field, body) in [
        ("name", json!({ "name": "", "scopes": scopes })),
        ("name", json!({ "name": "x".repeat(101), "scopes": scopes })),
        ("name", json!({ "name": "two\nlines", "scopes": scopes })),
        ("name", json!({ "scopes": scopes })),
        ("scopes", json!({ "name": "x" })),
        ("scopes", json!({ "name": "x", "scopes": [] })),
        ("scopes[0]", json!({ "name": "x", "scopes": ["admin"] })),
        ("scopes[0]", json!({ "name": "x", "scopes": [7] })),
        ("scopes", json!({ "name": "x", "scopes": "tasks:read" })),
        ("expires_at", json!({ "name": "x", "scopes": scopes, "expires_at": "2020-01-01T00:00:00Z" })),
        ("expires_at", json!({ "name": "x", "scopes": scopes, "expires_at": "tomorrow" })),
        (
            "expires_at",
            json!({ "name": "x", "scopes": scopes, "expires_at": SystemClock.now() + Duration::from_secs(366 * 86_400) }),
        ),
        ("user", json!({ "name": "x", "scopes": scopes, "user": NOBODYS })),
    ] {
        names(ada.post("/api/v1/auth/api-keys", &body).await, 422, "invalid_input", field).await;
    }
    for n in 0..50 {
        make_key(&ada, &json!({ "name": format!("{n}"), "scopes": scopes })).await;
    }
    let one_more = ada.post("/api/v1/auth/api-keys", &json!({ "name": "x", "scopes": scopes })).await;
    failure(one_more, 409, "conflict").await;

    let (_, key) = make_key(&server.user("eve").await, &json!({ "name": "x", "scopes": scopes })).await;
    let mut other = key.clone();
    other.replace_range(20..21, if &key[20..21] == "0" { "1" } else { "0" });
    for bad in ["", "sutz_", "nonsense", &other, &key[..68], &key.to_uppercase(), &ada.token, "' OR 1=1 --"] {
        let answer = with_key(&server, Method::GET, "/api/v1/tasks", bad).send().await.unwrap();
        failure(answer, 401, "unauthenticated").await;
    }
    for bad in ["sutz_", &other, &key[..68]] {
        let answer = server.request(Method::GET, "/api/v1/tasks").bearer_auth(bad).send().await.unwrap();
        failure(answer, 401, "unauthenticated").await;
    }
    // With both a token and a key, only the token counts, whether it is valid or not.
    let both = ada.request(Method::GET, "/api/v1/auth/me").header("x-api-key", &key).send().await.unwrap();
    assert_eq!(success(both, 200).await["username"], "ada");
    let both =
        with_key(&server, Method::GET, "/api/v1/tasks", &key).bearer_auth("nonsense").send().await.unwrap();
    failure(both, 401, "unauthenticated").await;
}

#[tokio::test]
async fn api_key_expires() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let end = SystemClock.now() + Duration::from_millis(1_500);
    let body = json!({ "name": "short", "scopes": ["tasks:read"], "expires_at": end });
    let (_, key) = make_key(&ada, &body).await;
    let ask = async || with_key(&server, Method::GET, "/api/v1/tasks", &key).send().await.unwrap();
    success(ask().await, 200).await;
    while SystemClock.now() < end {
        SystemClock.sleep(Duration::from_millis(50)).await;
    }
    failure(ask().await, 401, "unauthenticated").await;
}
