//! The real server as untrusted callers meet it: rate limits by default, TLS when configured, and SQL as
//! plain text.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use reqwest::{Certificate, Client, Method};
use serde_json::{Value, json};

use crate::support::{Place, Server, text};

const PASSWORD: &str = "correct horse battery";

async fn ask(server: &Server, method: Method, path: &str, token: &str, body: &Value) -> (u16, Value) {
    let request = Client::new().request(method, server.url(path)).bearer_auth(token).json(body);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn register(server: &Server, name: &str) -> String {
    let body = json!({ "username": name, "email": format!("{name}@example.org"), "password": PASSWORD });
    let (status, answer) = ask(server, Method::POST, "/api/v1/auth/register", "", &body).await;
    assert_eq!(status, 201, "{answer}");
    answer["data"]["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limits_apply_by_default() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.retain(|(name, _)| name != "ENABLE_RATE_LIMITING");
    settings.push(("RATE_LIMIT_PER_MINUTE".into(), "3".into()));
    settings.push(("ARGON2_MEMORY_KIB".into(), "7168".into()));
    let server = Server::start(&place, &settings);
    let token = register(&server, "ada").await;
    let wrong = json!({ "login": "ada", "password": "wrong password" });
    // The registration was the first of five requests.
    assert_rejected_after(4, 401, async || {
        ask(&server, Method::POST, "/api/v1/auth/login", "", &wrong).await.0
    })
    .await;
    let nothing = json!({});
    assert_rejected_after(3, 200, async || {
        ask(&server, Method::GET, "/api/v1/tasks", &token, &nothing).await.0
    })
    .await;
}

/// Sends requests until one is rejected. The first `answered` must succeed; on a slow machine one or two more
/// may be granted.
async fn assert_rejected_after(answered: usize, with: u16, ask: impl AsyncFn() -> u16) {
    let mut statuses = Vec::new();
    while statuses.last() != Some(&429) && statuses.len() < 10 {
        statuses.push(ask().await);
    }
    assert!(statuses.len() > answered && statuses.last() == Some(&429), "{statuses:?}");
    assert_eq!(statuses[..answered], vec![with; answered]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_in_texts_is_not_executed() {
    let place = Place::new();
    let server = Server::start(&place, &place.settings());
    let token = register(&server, "ada").await;
    for text in [
        "' OR '1'='1' --",
        "'; DROP TABLE users; --",
        "x'); DELETE FROM tasks; --",
        "' UNION SELECT password_hash FROM users --",
        "%' OR username LIKE '%",
        "\" OR \"\"=\"",
        "<script>alert(1)</script>",
    ] {
        let login = json!({ "login": text, "password": PASSWORD });
        assert_eq!(ask(&server, Method::POST, "/api/v1/auth/login", "", &login).await.0, 401, "{text}");
        let login = json!({ "login": "ada", "password": text });
        assert_eq!(ask(&server, Method::POST, "/api/v1/auth/login", "", &login).await.0, 401, "{text}");
        let key = json!({ "name": text, "scopes": ["tasks:read"] });
        let (status, made) = ask(&server, Method::POST, "/api/v1/auth/api-keys", &token, &key).await;
        assert_eq!((status, &made["data"]["name"]), (201, &json!(text)));
        for parameter in ["agent", "cursor", "status"] {
            let query: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let path = format!("/api/v1/tasks?{parameter}={query}");
            let (status, answer) = ask(&server, Method::GET, &path, &token, &json!({})).await;
            assert!(status == 422 || answer["data"]["items"] == json!([]), "{parameter}={text}: {answer}");
        }
    }
    let (status, keys) = ask(&server, Method::GET, "/api/v1/auth/api-keys", &token, &json!({})).await;
    assert_eq!((status, keys["data"]["items"].as_array().unwrap().len()), (200, 7));
    let login = json!({ "login": "ada", "password": PASSWORD });
    assert_eq!(ask(&server, Method::POST, "/api/v1/auth/login", "", &login).await.0, 200);
}

/// Writes a certificate for `localhost`, valid in these years, and its key; returns it and the settings that
/// name both.
fn certificate(place: &Place, from: i32, to: i32) -> (String, Vec<(String, String)>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    let pem = params.self_signed(&key).unwrap().pem();
    let mut settings = place.settings();
    for (name, content) in [("TLS_CERT", pem.clone()), ("TLS_KEY", key.serialize_pem())] {
        let path = place.path(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        settings.push((name.into(), path.display().to_string()));
    }
    (pem, settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn server_speaks_tls_and_shuts_down() {
    let place = Place::new();
    let (pem, settings) = certificate(&place, 2025, 2100);
    let mut server = Server::start(&place, &settings);
    let root = Certificate::from_pem(pem.as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([root]).build().unwrap();
    let url = server.url("/health").replace("http://127.0.0.1", "https://localhost");
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().contains_key("strict-transport-security"));
    server.signal("TERM");
    assert_eq!(server.ended_within(Duration::from_secs(10)), Some(0));
}

#[test]
fn unusable_certificate_prevents_the_start() {
    let place = Place::new();
    let (_, mut settings) = certificate(&place, 2020, 2021);
    for command in [&["serve"][..], &["config", "check"]] {
        let output = place.sutazai(&settings, command).output().unwrap();
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(
            errors.contains("TLS_CERT: the certificate in") && errors.contains(" expired at "),
            "{errors}"
        );
    }
    settings.retain(|(name, _)| name != "TLS_KEY");
    let output = place.sutazai(&settings, &["serve"]).output().unwrap();
    assert!(
        text(&output.stderr).contains("TLS_KEY: must be set when TLS_CERT is"),
        "{}",
        text(&output.stderr)
    );
}
