//! The first admin of a real server, an API key, and what a server still knows after it was killed.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sutazai_core::ports::{Clock, SystemClock};

use crate::support::HANG_LIMIT;
use crate::support::{Place, Server};

const PASSWORD: &str = "correct horse battery";

/// Somebody with a token or an API key.
struct Someone {
    client: Client,
    token: String,
}

impl Someone {
    async fn sign_in(server: &Server, path: &str, body: Value) -> (Self, Value) {
        let nobody = Self { client: Client::new(), token: String::new() };
        let (_, data) = nobody.ask(server, Method::POST, path, &body).await;
        (Self { token: data["access_token"].as_str().unwrap().to_owned(), ..nobody }, data)
    }

    async fn ask(&self, server: &Server, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = self.client.request(method, server.url(path)).bearer_auth(&self.token).json(body);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let mut body: Value = answer.json().await.unwrap();
        (status, body["data"].take())
    }

    async fn get(&self, server: &Server, path: &str) -> (StatusCode, Value) {
        self.ask(server, Method::GET, path, &json!({})).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_shut_out_stays_out_after_kill_9_of_the_server() {
    let place = Place::new();
    let secret = place.path("admin_password");
    std::fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut settings = place.settings();
    settings.push(("ADMIN_USERNAME".into(), "root_1".into()));
    settings.push(("ADMIN_PASSWORD_FILE".into(), secret.display().to_string()));
    let mut server = Server::start(&place, &settings);

    let eve = json!({ "username": "eve", "email": "eve@example.org", "password": PASSWORD });
    let (eve, signed_in) = Someone::sign_in(&server, "/api/v1/auth/register", eve).await;
    let new = json!({ "name": "backup", "scopes": ["tasks:read"] });
    let (status, made) = eve.ask(&server, Method::POST, "/api/v1/auth/api-keys", &new).await;
    assert_eq!(status, StatusCode::CREATED);
    let key = Someone { client: Client::new(), token: made["key"].as_str().unwrap().to_owned() };
    assert_eq!(key.get(&server, "/api/v1/tasks").await.0, StatusCode::OK);
    assert_eq!(key.get(&server, "/api/v1/auth/api-keys").await.0, StatusCode::FORBIDDEN);
    assert_eq!(eve.get(&server, "/api/v1/admin/users").await.0, StatusCode::FORBIDDEN);

    let root = json!({ "login": "root_1", "password": PASSWORD });
    let (root, _) = Someone::sign_in(&server, "/api/v1/auth/login", root).await;
    let (_, found) = root.get(&server, "/api/v1/admin/users?search=EVE").await;
    assert_eq!(found["items"][0]["id"], signed_in["user"]["id"]);
    let (_, numbers) = root.get(&server, "/api/v1/admin/statistics").await;
    assert_eq!(numbers["users"], json!({ "total": 2, "disabled": 0, "active": 2 }));
    let path = format!("/api/v1/admin/users/{}/disable", found["items"][0]["id"].as_str().unwrap());
    assert_eq!(root.ask(&server, Method::POST, &path, &json!({})).await.0, StatusCode::OK);
    for somebody in [&eve, &key] {
        assert_eq!(somebody.get(&server, "/api/v1/tasks").await.0, StatusCode::UNAUTHORIZED);
    }

    server.signal("KILL");
    assert_eq!(server.ended_within(Duration::from_secs(5)), None);
    let server = Server::start(&place, &settings);
    assert_eq!(key.get(&server, "/api/v1/tasks").await.0, StatusCode::UNAUTHORIZED);
    // The token's signature is still good: the server has to hear from its store that the session has ended.
    let begun = Instant::now();
    while eve.get(&server, "/api/v1/tasks").await.0 != StatusCode::UNAUTHORIZED {
        assert!(begun.elapsed() < HANG_LIMIT, "a disabled user is let in");
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(root.get(&server, "/api/v1/admin/users").await.0, StatusCode::OK);
}
