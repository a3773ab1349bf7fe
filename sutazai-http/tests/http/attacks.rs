//! Text with a special meaning elsewhere (SQL, scripts, formats, paths, control characters) in every place that
//! accepts text. It is either rejected by validation, or stored and returned verbatim as JSON that no browser
//! executes.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use sutazai_core::domain::UserRole;

use crate::support::{PASSWORD, Server, User, success};

const TEXTS: [&str; 10] = [
    "' OR '1'='1' --",
    "'; DROP TABLE users; --",
    "\" UNION SELECT password_hash FROM users --",
    "%' AND 1=1 /*",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "{{7*7}} ${7*7} %s%n %00",
    "../../../../etc/passwd",
    "line one\r\nset-cookie: a=b",
    "nothing\u{0} backwards\u{202e} and no width\u{feff}",
];

/// Asserts that a response is well-formed, no server error, and nothing that a browser would execute; returns its
/// status and body.
async fn sane(answer: Response, what: &str) -> (u16, Value) {
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    assert!(status < 500, "{what}: {status}");
    assert_eq!(headers["content-type"], "application/json", "{what}");
    assert_eq!(headers["x-content-type-options"], "nosniff", "{what}");
    assert!(headers["content-security-policy"].to_str().unwrap().contains("default-src 'none'"), "{what}");
    assert!(!headers.contains_key("set-cookie"), "{what}");
    let body: Value = answer.json().await.unwrap();
    (status, body["data"].clone())
}

async fn post(user: &User<'_>, path: &str, body: &Value, what: &str) -> (u16, Value) {
    sane(user.post(path, body).await, what).await
}

#[tokio::test]
async fn hostile_names_and_passwords_are_rejected_or_stored_verbatim() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for (number, text) in TEXTS.into_iter().enumerate() {
        let account = |username: &str, email: &str, password: &str| json!({ "username": username, "email": email, "password": password });
        for (field, body) in [
            ("username", account(text, "new@example.org", PASSWORD)),
            ("email", account("new", text, PASSWORD)),
            ("email", account("new", &format!("{text}@example.org"), PASSWORD)),
        ] {
            let (status, _) = post(&ada, "/api/v1/auth/register", &body, text).await;
            // The characters of `{{7*7}}` are allowed before the `@` (RFC 5322, 3.2.3), spaces are not.
            assert_eq!(status, 422, "{field}: {text}");
        }
        // A password may consist of any characters.
        let name = format!("user_{number}");
        let body = account(&name, &format!("{name}@example.org"), text);
        assert_eq!(post(&ada, "/api/v1/auth/register", &body, text).await.0, 201, "{text}");
        for (login, password, expected) in [
            (name.as_str(), text, 200),
            (&name, &format!("{text} "), 401),
            (text, PASSWORD, 401),
            ("ada", text, 401),
        ] {
            let body = json!({ "login": login, "password": password });
            assert_eq!(post(&ada, "/api/v1/auth/login", &body, text).await.0, expected, "{login} {password}");
        }
        assert_eq!(post(&ada, "/api/v1/auth/refresh", &json!({ "refresh_token": text }), text).await.0, 401);
        let change = json!({ "current_password": text, "new_password": "another good password" });
        assert_eq!(post(&ada, "/api/v1/auth/password", &change, text).await.0, 403);
    }
    assert_eq!(ada.get("/api/v1/auth/me").await.status(), 200);
}

#[tokio::test]
async fn stored_text_is_returned_verbatim() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for text in TEXTS {
        let task = json!({ "agent": "worker", "payload": { "mode": "echo", "text": text } });
        let task = success(ada.post("/api/v1/tasks", &task).await, 202).await;
        assert_eq!(ada.ended(task["id"].as_str().unwrap()).await["result"]["echo"], text);
        let key = json!({ "name": text, "scopes": ["tasks:read"] });
        let (status, key) = post(&ada, "/api/v1/auth/api-keys", &key, text).await;
        assert!(status == 422 || (status, &key["name"]) == (201, &json!(text)), "{status} {key}");
        let (status, _) = post(&ada, "/api/v1/tasks", &json!({ "agent": text, "payload": {} }), text).await;
        assert!(matches!(status, 404 | 422), "{text}: {status}");
        for body in [
            json!({ "agent": "worker", "payload": { "mode": text } }),
            json!({ "agent": "worker", "payload": { "mode": "echo", (text): 1 } }),
            json!({ "agent": "worker", "payload": { "mode": "echo" }, (text): 1 }),
        ] {
            assert_eq!(post(&ada, "/api/v1/tasks", &body, text).await.0, 422, "{body}");
        }
    }
}

#[tokio::test]
async fn hostile_queries_paths_and_headers_cause_no_server_error() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let root = server.user("root_1").await;
    let id = root.signed_in["user"]["id"].as_str().unwrap().parse().unwrap();
    server.identity.set_role(&sutazai_core::domain::Caller::System, id, UserRole::Admin).await.unwrap();
    let login = json!({ "login": "root_1", "password": PASSWORD });
    let token = success(root.post("/api/v1/auth/login", &login).await, 200).await["access_token"].clone();
    let root = User { token: token.as_str().unwrap().into(), ..root };
    for text in TEXTS {
        for (user, path, parameter) in [
            (&ada, "/api/v1/tasks", "cursor"),
            (&ada, "/api/v1/tasks", "status"),
            (&ada, "/api/v1/tasks", "agent"),
            (&ada, "/api/v1/tasks", "limit"),
            (&root, "/api/v1/admin/users", "search"),
            (&root, "/api/v1/admin/users", "cursor"),
        ] {
            let query = serde_urlencoded::to_string([(parameter, text)]).unwrap();
            let (status, data) = sane(user.get(&format!("{path}?{query}")).await, text).await;
            assert!(status == 422 || data["items"] == json!([]), "{parameter}={text}: {status} {data}");
        }
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for path in [
            format!("/api/v1/tasks/{encoded}"),
            format!("/{encoded}"),
            format!("/api/v1/admin/users/{encoded}/role"),
        ] {
            let (status, _) = sane(root.get(&path).await, text).await;
            assert!((400..500).contains(&status), "{path}: {status}");
        }
        let printable: String = text.chars().filter(|c| c.is_ascii() && !c.is_ascii_control()).collect();
        for header in ["authorization", "x-api-key", "x-request-id", "user-agent", "last-event-id"] {
            let request = server.request(Method::GET, "/api/v1/tasks").header(header, &printable);
            let answer = request.send().await.unwrap();
            assert!(
                !answer.headers()["x-request-id"].to_str().unwrap().contains(['<', '\'', '"', ' ']),
                "{text}"
            );
            assert_eq!(sane(answer, text).await.0, 401);
        }
    }
}
