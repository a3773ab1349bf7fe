//! Secrets appear in no log line at any level, neither of this project nor of its libraries.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};
use sutazai_core::Error;
use sutazai_core::engine::Engine;
use sutazai_core::memory::MemoryTaskStore;
use sutazai_core::ports::TaskRecords;
use sutazai_core::testing::MockTaskRecords;
use sutazai_http::{App, Monitoring};
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::support::{PASSWORD, Server, failure, is_alone, success};
use crate::wire::Client;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn secret(of: &Value, field: &str) -> String {
    of[field].as_str().unwrap().to_owned()
}

/// Runs on one thread, so that server and client both write to the captured log, and in a process of its own, because
/// the enabled levels are global to a process.
#[tokio::test]
async fn secrets_never_appear_in_the_log() {
    if !is_alone("logs::secrets_never_appear_in_the_log") {
        return;
    }
    let kept = Kept::default();
    let lines = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(kept.clone()).finish();
    let _here = tracing::subscriber::set_default(lines);
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let post = async |path: &str, body: &Value| {
        server.request(Method::POST, &format!("/api/v1/auth/{path}")).json(body).send().await.unwrap()
    };
    let (wrong, typed_as_name, new) = ("mistyped secret", "typed in the wrong field", "my second secret 42");
    for body in [
        json!({ "login": "ada", "password": wrong }),
        json!({ "login": typed_as_name, "password": wrong }),
        json!({ "login": "ada", "password": wrong, "passwort": typed_as_name }),
        json!({ "login": "ada", "password": [wrong] }),
    ] {
        assert!(post("login", &body).await.status().is_client_error());
    }
    let cut = format!("{{\"login\": \"ada\", \"password\": \"{wrong}");
    let request =
        server.request(Method::POST, "/api/v1/auth/login").header("content-type", "application/json");
    assert_eq!(request.body(cut).send().await.unwrap().status(), 400);
    let refresh = json!({ "refresh_token": ada.signed_in["refresh_token"] });
    let second = success(post("refresh", &refresh).await, 200).await;
    let change = json!({ "current_password": PASSWORD, "new_password": new });
    success(ada.post("/api/v1/auth/password", &change).await, 200).await;
    let key = json!({ "name": "backup", "scopes": ["tasks:read"] });
    let key = success(ada.post("/api/v1/auth/api-keys", &key).await, 201).await;
    let with_key = server.request(Method::GET, "/api/v1/tasks").header("x-api-key", secret(&key, "key"));
    success(with_key.send().await.unwrap(), 200).await;
    let in_query = format!("/api/v1/tasks?token={}", ada.token);
    assert_eq!(ada.get(&in_query).await.status(), 422);
    let id = ada.submit("echo").await;
    ada.ended(&id).await;
    // Another `User-Agent`, because the session's own client may repeat a spent token for 30 seconds.
    let spent =
        server.request(Method::POST, "/api/v1/auth/refresh").header("user-agent", "other").json(&refresh);
    assert_eq!(spent.send().await.unwrap().status(), 401, "a spent token was accepted");

    let log = String::from_utf8_lossy(&kept.0.lock().unwrap()).into_owned();
    assert!(log.contains("TRACE") && log.contains("sign-in rejected") && log.contains("request completed"));
    let mut secrets =
        vec![PASSWORD.to_owned(), wrong.into(), typed_as_name.into(), new.into(), secret(&key, "key")];
    for signed_in in [&ada.signed_in, &second] {
        secrets.extend(["access_token", "refresh_token"].map(|field| secret(signed_in, field)));
        secrets.push(secret(signed_in, "refresh_token").split('.').nth(1).unwrap().to_owned());
    }
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "{secret}");
    }
}

/// The connection outlives the request that opened it, but its log lines belong to the same trace.
#[tokio::test]
async fn websocket_log_lines_belong_to_the_trace_of_its_request() {
    if !is_alone("logs::websocket_log_lines_belong_to_the_trace_of_its_request") {
        return;
    }
    let kept = Kept::default();
    let lines =
        tracing_subscriber::fmt().with_max_level(Level::INFO).with_ansi(false).with_writer(kept.clone());
    let _here = tracing::subscriber::set_default(lines.finish());
    let mut server = Server::start().await;
    let mut client = Client::open(&server.user("ada").await).await;
    client.ask(&json!({ "type": "ping" })).await;
    server.stop();
    assert_eq!(client.closed().await, 1001);
    server.stopped().await;
    let log = String::from_utf8_lossy(&kept.0.lock().unwrap()).into_owned();
    let trace = |says: [&str; 2]| {
        let line = log.lines().find(|line| says.iter().all(|word| line.contains(word))).unwrap();
        let (_, rest) = line.split_once("trace_id=\"").unwrap_or_else(|| panic!("{line}"));
        let user = line.contains("user_id=");
        (rest.split('"').next().unwrap().to_owned(), user)
    };
    let closed = trace(["WebSocket closed", "code=1001"]);
    assert_eq!(closed, trace(["request completed", "/api/v1/ws"]));
    assert!(closed.1, "the log line lacks the user's id");
}

/// With span events enabled, each span would write a line too.
#[tokio::test]
async fn probe_is_logged_only_if_it_fails() {
    if !is_alone("logs::probe_is_logged_only_if_it_fails") {
        return;
    }
    let kept = Kept::default();
    let lines = tracing_subscriber::fmt().with_max_level(Level::INFO).with_span_events(FmtSpan::NEW);
    let _here = tracing::subscriber::set_default(lines.with_ansi(false).with_writer(kept.clone()).finish());
    let server_over = async |records: Arc<dyn TaskRecords>| {
        let app = App::new(Engine::builder().task_records(records).build().unwrap());
        Server::of_app(app.monitoring(Monitoring::install().unwrap())).await
    };
    let ask = async |server: &Server, path: &str| {
        server.request(Method::GET, path).header("x-request-id", "probe-7").send().await.unwrap()
    };
    let logged = || String::from_utf8_lossy(&std::mem::take(&mut *kept.0.lock().unwrap())).into_owned();

    let server = server_over(Arc::new(MemoryTaskStore::new())).await;
    logged();
    for path in ["/health", "/health/ready", "/metrics"] {
        let answer = ask(&server, path).await;
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-request-id"]),
            (200, &"probe-7".parse().unwrap())
        );
    }
    // A client error is no failure of the server, so it is not logged.
    failure(server.request(Method::POST, "/health").send().await.unwrap(), 405, "method_not_allowed").await;
    assert_eq!(logged(), "");
    success(ask(&server, "/api/v1/agents").await, 200).await;
    let log = logged();
    assert!(log.contains("new") && log.contains("request completed") && log.contains("probe-7"), "{log}");

    let mut away = MockTaskRecords::new();
    away.expect_get().returning(|_| Err(Error::unavailable("the line is cut")));
    let server = server_over(Arc::new(away)).await;
    logged();
    failure(ask(&server, "/health/ready").await, 503, "unavailable").await;
    let log = logged();
    let line = log.lines().find(|line| line.contains("request completed")).unwrap_or_else(|| panic!("{log}"));
    for word in ["WARN", "trace_id=\"probe-7\"", "method=GET", "route=\"/health/ready\"", "status=503"] {
        assert!(line.contains(word), "{word} in {line}");
    }
    assert!(!log.contains(" new"), "{log}");
}
