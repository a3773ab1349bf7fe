//! The first admin of a real server, API keys, and revocations that survive a kill of the server.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sutazai_core::ports::{Clock, SystemClock};

use crate::support::HANG_LIMIT;
use crate::support::{Place, Server, text};

const PASSWORD: &str = "correct horse battery";

/// Caller with a token or an API key.
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
async fn disabled_user_stays_rejected_after_kill_9_of_the_server() {
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
    // The signature of the token is still valid: the server must learn from its store that the session has
    // ended.
    let begun = Instant::now();
    while eve.get(&server, "/api/v1/tasks").await.0 != StatusCode::UNAUTHORIZED {
        assert!(begun.elapsed() < HANG_LIMIT, "a disabled user must be rejected");
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(root.get(&server, "/api/v1/admin/users").await.0, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_invite_and_delete_users_from_the_command_line() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.push(("ENABLE_REGISTRATION".into(), "false".into()));
    let server = Server::start(&place, &settings);
    let nobody = Someone { client: Client::new(), token: String::new() };
    let account = |invitation: &str| json!({ "username": "ada", "email": "ada@example.org", "password": PASSWORD, "invitation": invitation });
    let register = "/api/v1/auth/register";
    assert_eq!(
        nobody.ask(&server, Method::POST, register, &account("x")).await.0,
        StatusCode::FORBIDDEN,
        "registration is closed"
    );
    let invited = place.sutazai(&settings, &["admin", "invite", "--hours", "1"]).output().unwrap();
    assert!(invited.status.success(), "{}", text(&invited.stderr));
    let invitation = text(&invited.stdout).trim().to_owned();
    let (ada, _) = Someone::sign_in(&server, register, account(&invitation)).await;
    let again = json!({ "username": "eve", "email": "eve@example.org", "password": PASSWORD, "invitation": invitation });
    assert_eq!(nobody.ask(&server, Method::POST, register, &again).await.0, StatusCode::FORBIDDEN);

    let delete = |arguments: &[&str]| {
        let output =
            place.sutazai(&settings, &[&["admin", "delete-user"], arguments].concat()).output().unwrap();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, output) = delete(&["ada"]);
    assert_eq!(code, Some(130), "the deletion was not confirmed: {output}");
    assert!(output.contains("nothing was deleted"), "{output}");
    let (code, output) = delete(&["nobody", "--yes"]);
    assert!(code == Some(4) && output.contains("user nobody"), "{code:?} {output}");
    assert_eq!(ada.get(&server, "/api/v1/tasks").await.0, StatusCode::OK);
    let (code, output) = delete(&["ada@example.org", "--yes"]);
    assert!(code == Some(0) && output.contains("ada  deleted"), "{code:?} {output}");
    let login = json!({ "login": "ada", "password": PASSWORD });
    let signed_in = nobody.ask(&server, Method::POST, "/api/v1/auth/login", &login).await.0;
    assert_eq!(signed_in, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_names_admin_target_and_address_of_a_change() {
    let place = Place::new();
    let secret = place.path("admin_password");
    std::fs::write(&secret, PASSWORD).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut settings = place.settings();
    for (name, value) in [
        ("LOG_FORMAT", "json"),
        ("ADMIN_USERNAME", "root_1"),
        ("ADMIN_PASSWORD_FILE", secret.to_str().unwrap()),
    ] {
        settings.push((name.into(), value.into()));
    }
    let mut server = Server::start(&place, &settings);
    let eve = json!({ "username": "eve", "email": "eve@example.org", "password": PASSWORD });
    let (_, eve) = Someone::sign_in(&server, "/api/v1/auth/register", eve).await;
    let root = json!({ "login": "root_1", "password": PASSWORD });
    let (root, admin) = Someone::sign_in(&server, "/api/v1/auth/login", root).await;
    let path = format!("/api/v1/admin/users/{}", eve["user"]["id"].as_str().unwrap());
    let disable = root.ask(&server, Method::POST, &format!("{path}/disable"), &json!({})).await;
    assert_eq!(disable.0, StatusCode::OK);
    assert_eq!(root.ask(&server, Method::DELETE, &path, &json!({})).await.0, StatusCode::OK);
    server.signal("TERM");
    assert_eq!(server.ended_within(HANG_LIMIT), Some(0));
    let lines: Vec<Value> = server.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for message in ["user changed", "user deleted"] {
        let line = lines.iter().find(|line| line["message"] == message).unwrap();
        assert_eq!(line["user_id"], admin["user"]["id"], "who did it: {line}");
        assert_eq!(line["target_user_id"], eve["user"]["id"], "to whom: {line}");
        assert_eq!(line["client"], "127.0.0.1", "from where: {line}");
    }
}
