//! Stream tickets: valid once, for 30 seconds, in the URL of a stream and nowhere else.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use sutazai_core::testing::ManualClock;

use crate::support::{EventReader, Server, User, failure, is_alone, success};
use crate::wire::Client;

async fn stream(server: &Server, path: &str, ticket: &str) -> reqwest::Response {
    server.request(Method::GET, &format!("{path}?ticket={ticket}")).send().await.unwrap()
}

async fn key<'a>(ada: &User<'a>, scopes: &[&str]) -> User<'a> {
    let body = json!({ "name": "key", "scopes": scopes });
    let made = success(ada.post("/api/v1/auth/api-keys", &body).await, 201).await;
    User { server: ada.server, token: made["key"].as_str().unwrap().into(), signed_in: made }
}

#[tokio::test]
async fn ticket_opens_one_stream() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let id = ada.submit("echo").await;
    ada.ended(&id).await;
    let task = format!("/api/v1/tasks/{id}/events");
    for path in ["/api/v1/events", task.as_str()] {
        let ticket = ada.ticket().await;
        assert!(ticket.len() == 64 && ticket.bytes().all(|b| b.is_ascii_hexdigit()), "{ticket}");
        let answer = stream(&server, path, &format!("{ticket}&after=0")).await;
        assert_eq!(EventReader::new(answer).next().await.unwrap().data["task_id"], id);
        failure(stream(&server, path, &ticket).await, 401, "unauthenticated").await;
    }
    let ticket = ada.ticket().await;
    let mut client = Client::open_with(&server, &format!("?ticket={ticket}")).await.unwrap();
    assert_eq!(client.ask(&json!({ "type": "ping" })).await["type"], "pong");
    client.ask(&json!({ "type": "subscribe", "after": "0" })).await;
    assert_eq!(client.hear().await["event"]["task_id"], id);
    assert_eq!(Client::open_with(&server, &format!("?ticket={ticket}")).await.err(), Some(401));
}

#[tokio::test]
async fn concurrent_uses_of_a_ticket_open_one_stream() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let ticket = ada.ticket().await;
    let all = futures::future::join_all((0..20).map(|_| stream(&server, "/api/v1/events", &ticket))).await;
    assert_eq!(all.iter().filter(|answer| answer.status() == 200).count(), 1);
    assert_eq!(all.iter().filter(|answer| answer.status() == 401).count(), 19);
}

#[tokio::test]
async fn ticket_is_not_accepted_on_other_routes() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let id = ada.submit("echo").await;
    let ticket = ada.ticket().await;
    for (method, path) in [
        (Method::GET, "/api/v1/tasks".to_owned()),
        (Method::GET, format!("/api/v1/tasks/{id}")),
        (Method::POST, format!("/api/v1/tasks/{id}/cancel")),
        (Method::POST, "/api/v1/tasks".to_owned()),
        (Method::GET, "/api/v1/auth/me".to_owned()),
        (Method::POST, "/api/v1/auth/ticket".to_owned()),
        (Method::GET, "/api/v1/system/metrics".to_owned()),
        (Method::GET, "/api/v1/admin/users".to_owned()),
    ] {
        let request = server.request(method, &format!("{path}?ticket={ticket}"));
        failure(request.send().await.unwrap(), 401, "unauthenticated").await;
        let as_token = server.request(Method::GET, "/api/v1/auth/me").bearer_auth(&ticket);
        failure(as_token.send().await.unwrap(), 401, "unauthenticated").await;
    }
    assert_eq!(
        stream(&server, "/api/v1/events", &ticket).await.status(),
        200,
        "a rejected request spent the ticket"
    );
    for bad in ["", "x", &"0".repeat(64)] {
        failure(stream(&server, "/api/v1/events", bad).await, 401, "unauthenticated").await;
    }
}

#[tokio::test]
async fn ticket_has_the_permissions_of_its_credential() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let (reader, writer) = (key(&ada, &["tasks:read"]).await, key(&ada, &["tasks:write"]).await);
    let id = ada.submit("echo").await;
    ada.ended(&id).await;
    failure(writer.post("/api/v1/auth/ticket", &json!({})).await, 403, "forbidden").await;
    let answer = stream(&server, "/api/v1/events", &format!("{}&after=0", reader.ticket().await)).await;
    assert_eq!(EventReader::new(answer).next().await.unwrap().data["task_id"], id);
    let eve = server.user("eve").await;
    let path = format!("/api/v1/tasks/{id}/events");
    failure(stream(&server, &path, &eve.ticket().await).await, 404, "not_found").await;

    let orphan = ada.ticket().await;
    success(ada.post("/api/v1/auth/logout", &json!({})).await, 200).await;
    failure(stream(&server, "/api/v1/events", &orphan).await, 401, "unauthenticated").await;
    let open = Server::start_with(vec![], false, |router| router).await;
    let asked = open.request(Method::POST, "/api/v1/auth/ticket").send().await.unwrap();
    failure(asked, 501, "unsupported").await;
}

#[tokio::test]
async fn ticket_expires_after_30_seconds_and_unused_ones_are_limited() {
    let clock = Arc::new(ManualClock::new());
    let server = Server::start_at(clock.clone()).await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let [early, late] = [ada.ticket().await, ada.ticket().await];
    clock.advance(Duration::from_secs(29));
    assert_eq!(stream(&server, "/api/v1/events", &early).await.status(), 200);
    clock.advance(Duration::from_secs(1));
    failure(stream(&server, "/api/v1/events", &late).await, 401, "unauthenticated").await;
    for _ in 0..32 {
        ada.ticket().await;
    }
    let refused = ada.post("/api/v1/auth/ticket", &json!({})).await;
    assert_eq!(refused.headers()["retry-after"], "30");
    failure(refused, 429, "rate_limited").await;
    eve.ticket().await;
    clock.advance(Duration::from_secs(30));
    ada.ticket().await;
}

/// Captures the log of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn ticket_never_appears_in_the_log() {
    // In a process of its own, because another test could disable log levels globally.
    if !is_alone("tickets::ticket_never_appears_in_the_log") {
        return;
    }
    let (log, server) = (Log::default(), Server::start().await);
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone());
    // The server runs on this thread too, so its lines are captured.
    let _logged = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);
    let ada = server.user("ada").await;
    let [stream_ticket, socket_ticket] = [ada.ticket().await, ada.ticket().await];
    for _ in 0..2 {
        drop(stream(&server, "/api/v1/events", &stream_ticket).await);
        drop(stream(&server, "/api/v1/ws", &socket_ticket).await);
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("/api/v1/ws") && text.contains("/api/v1/events") && text.contains("401"), "{text}");
    for secret in [&stream_ticket, &socket_ticket, &ada.token] {
        let told = text.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(told, None);
    }
}
