//! CORS, security headers and compression of responses.

use std::sync::Arc;

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use serde_json::json;
use sutazai_core::admission_control::AdmissionControlConfig;
use sutazai_core::testing::ScriptedModelBackend;
use sutazai_http::{SecuritySettings, ServerConfig};

use crate::support::{EventReader, Server, success};

async fn open_to(origins: &str) -> Server {
    let protection =
        SecuritySettings { cors_origins: origins.parse().unwrap(), ..SecuritySettings::default() };
    Server::start_exposed(protection, ServerConfig::default()).await
}

async fn preflight(server: &Server, origin: &str) -> Response {
    let request = server.request(Method::OPTIONS, "/api/v1/tasks").header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    request.header("access-control-request-headers", SENT_BY_PAGES).send().await.unwrap()
}

/// Headers that OpenAI's JavaScript client, tracing libraries and pages of this project send.
const SENT_BY_PAGES: &str = "authorization,baggage,content-type,idempotency-key,openai-organization,sentry-trace,traceparent,\
                             tracestate,x-api-key,x-b3-traceid,x-stainless-arch,x-stainless-os,x-stainless-retry-count";

fn told<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn only_pages_of_listed_origins_may_call() {
    let server = open_to("https://app.example.org,http://localhost:3000").await;
    for origin in ["https://app.example.org", "http://localhost:3000"] {
        let answer = preflight(&server, origin).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(told(answer.headers(), "access-control-allow-origin"), origin);
        assert!(told(answer.headers(), "access-control-allow-methods").contains("POST"));
        let allowed = told(answer.headers(), "access-control-allow-headers");
        assert_eq!(allowed.replace(' ', ""), SENT_BY_PAGES);
        assert!(told(answer.headers(), "vary").contains("access-control-request-headers"));
        assert!(!answer.headers().contains_key("access-control-allow-credentials"));
        let answer = server.request(Method::GET, "/health").header("origin", origin).send().await.unwrap();
        assert_eq!(told(answer.headers(), "access-control-allow-origin"), origin);
        assert!(told(answer.headers(), "access-control-expose-headers").contains("retry-after"));
        assert!(told(answer.headers(), "vary").contains("origin"));
        // Errors need the header too, otherwise a page could not read them.
        let answer =
            server.request(Method::GET, "/api/v1/tasks").header("origin", origin).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), told(answer.headers(), "access-control-allow-origin")),
            (401, origin)
        );
    }
    for origin in
        ["https://evil.example.org", "https://app.example.org.evil.com", "null", "http://app.example.org"]
    {
        let answer = preflight(&server, origin).await;
        assert!(!answer.headers().contains_key("access-control-allow-origin"), "{origin}");
    }
}

#[tokio::test]
async fn no_origin_is_allowed_by_default_and_wildcard_allows_all() {
    let server = Server::start().await;
    let answer = preflight(&server, "https://app.example.org").await;
    assert!(answer.status().is_client_error());
    let health = server.request(Method::GET, "/health").header("origin", "https://app.example.org");
    for headers in [answer.headers(), health.send().await.unwrap().headers()] {
        assert!(!headers.keys().any(|name| name.as_str().starts_with("access-control-")), "{headers:?}");
    }
    let answer = preflight(&open_to("*").await, "https://app.example.org").await;
    assert_eq!(told(answer.headers(), "access-control-allow-origin"), "*");
}

#[tokio::test]
async fn every_response_has_security_headers() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let id = ada.submit("echo").await;
    for (answer, status) in [
        (server.request(Method::GET, "/health").send().await.unwrap(), 200),
        (server.request(Method::GET, "/nowhere").send().await.unwrap(), 404),
        (server.request(Method::GET, "/api/v1/tasks").send().await.unwrap(), 401),
        (ada.get(&format!("/api/v1/tasks/{id}/events")).await, 200),
    ] {
        let headers = answer.headers();
        assert_eq!(answer.status(), status);
        assert_eq!(told(headers, "content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
        assert_eq!(told(headers, "x-content-type-options"), "nosniff");
        assert_eq!(told(headers, "x-frame-options"), "DENY");
        assert_eq!(told(headers, "referrer-policy"), "no-referrer");
        assert!(!headers.contains_key("strict-transport-security"), "HSTS was sent over plain HTTP");
        assert!(!headers.contains_key("server"));
    }
}

#[tokio::test]
async fn event_streams_disable_proxy_buffering() {
    let model = Arc::new(ScriptedModelBackend::replying(|_| "a b c"));
    let server = Server::start_with_model(model, AdmissionControlConfig::default()).await;
    let ada = server.user("ada").await;
    let conversation = success(ada.post("/api/v1/conversations", &json!({})).await, 201).await;
    let path = format!("/api/v1/conversations/{}/messages", conversation["id"].as_str().unwrap());
    let ask = json!({ "model": "scripted-model", "messages": [{ "role": "user", "content": "x" }], "stream": true });
    for (answer, buffering) in [
        (ada.post("/v1/chat/completions", &ask).await, "no"),
        (ada.post(&path, &json!({ "content": "x" })).await, "no"),
        (ada.get("/api/v1/events").await, "no"),
        (ada.get("/v1/models").await, ""),
        (ada.get("/nowhere").await, ""),
    ] {
        assert_eq!(told(answer.headers(), "x-accel-buffering"), buffering, "{}", answer.url());
    }
    let worker = Server::start().await;
    let ada = worker.user("ada").await;
    let id = ada.submit("echo").await;
    let answer = ada.get(&format!("/api/v1/tasks/{id}/events")).await;
    assert_eq!(told(answer.headers(), "x-accel-buffering"), "no");
}

#[tokio::test]
async fn only_long_responses_are_compressed() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let text = "the same again and again ".repeat(200);
    let body = json!({ "agent": "worker", "payload": { "mode": "echo", "text": text } });
    let task = success(ada.post("/api/v1/tasks", &body).await, 202).await;
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    ada.ended(task["id"].as_str().unwrap()).await;
    let zipped = async |path: &str, accepted: &str| {
        ada.request(Method::GET, path).header("accept-encoding", accepted).send().await.unwrap()
    };
    let whole = zipped(&path, "identity").await;
    assert!(!whole.headers().contains_key("content-encoding"));
    let whole = whole.bytes().await.unwrap();
    let short = zipped(&path, "gzip, deflate, br").await;
    assert_eq!(told(short.headers(), "content-encoding"), "gzip");
    assert!(told(short.headers(), "vary").contains("accept-encoding"));
    let short = short.bytes().await.unwrap();
    assert!(
        short.starts_with(&[0x1f, 0x8b]) && short.len() * 10 < whole.len(),
        "{} of {}",
        short.len(),
        whole.len()
    );
    let small = zipped("/health", "gzip").await;
    assert!(!small.headers().contains_key("content-encoding"));
    success(small, 200).await;
    // A stream is never compressed, however long it is.
    let stream = zipped(&format!("{path}/events"), "gzip").await;
    assert!(!stream.headers().contains_key("content-encoding"));
    assert!(!EventReader::new(stream).rest().await.is_empty());
}

#[tokio::test]
async fn hsts_is_sent_behind_a_trusted_tls_proxy() {
    let protection =
        SecuritySettings { trusted_proxies: "127.0.0.1".parse().unwrap(), ..SecuritySettings::default() };
    let behind = Server::start_exposed(protection, ServerConfig::default()).await;
    let alone = Server::start().await;
    for (server, proto, expected) in
        [(&behind, "https", true), (&behind, "http", false), (&alone, "https", false)]
    {
        for path in ["/health", "/api/v1/tasks"] {
            let request = server.request(Method::GET, path).header("x-forwarded-proto", proto);
            let answer = request.send().await.unwrap();
            assert_eq!(
                answer.headers().contains_key("strict-transport-security"),
                expected,
                "{path} {proto}"
            );
        }
    }
}
