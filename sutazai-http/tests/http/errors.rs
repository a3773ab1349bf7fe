//! All errors have the same form, name the invalid field, and reveal no internals.

use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{ALLOW, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::support::{Panicking, Server, failure, names, success};

#[tokio::test]
async fn unknown_paths_and_methods_are_404_and_405() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for path in
        ["/api", "/api/v1/nothing", "/api/v1/tasks/", "/health/", "/api/v1/agents/worker/analyze", "/%ff"]
    {
        failure(ada.get(path).await, 404, "not_found").await;
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/health", "GET,HEAD"),
        (Method::GET, "/api/v1/auth/login", "POST"),
        (Method::PATCH, "/api/v1/tasks", "GET,HEAD,POST"),
        (Method::PUT, "/api/v1/tasks/1", "GET,HEAD,DELETE"),
    ] {
        let answer = ada.request(method, path).send().await.unwrap();
        assert_eq!(answer.headers()[ALLOW], allowed, "{path}");
        failure(answer, 405, "method_not_allowed").await;
    }
    names(ada.get("/api/v1/tasks/1").await, 422, "invalid_input", "task_id").await;
    failure(ada.get("/api/v1/tasks/%ff").await, 400, "malformed").await;
}

#[tokio::test]
async fn unreadable_body_is_rejected() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let post = |content_type: &'static str, body: &str| {
        ada.request(Method::POST, "/api/v1/tasks")
            .header(CONTENT_TYPE, content_type)
            .body(body.to_owned())
            .send()
    };
    let good = r#"{"agent": "worker", "payload": {"mode": "echo"}}"#;
    success(post("application/json; charset=utf-8", good).await.unwrap(), 202).await;
    for other in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
        failure(post(other, good).await.unwrap(), 415, "unsupported_media_type").await;
    }
    let bare = ada.request(Method::POST, "/api/v1/tasks").send().await.unwrap();
    failure(bare, 415, "unsupported_media_type").await;
    let deep = "[".repeat(10_000);
    for body in ["", "{", "nonsense", r#"{"agent": "worker"} more"#, r#"{"agent": "\ud800"}"#] {
        failure(post("application/json", body).await.unwrap(), 400, "malformed").await;
    }
    for body in [deep.as_str(), r#"["worker", {"mode": "echo"}]"#, "7", "null"] {
        failure(post("application/json", body).await.unwrap(), 422, "invalid_input").await;
    }
}

#[tokio::test]
async fn invalid_body_names_the_field() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let payload = json!({ "mode": "echo" });
    for (field, body) in [
        ("agent", json!({ "payload": payload })),
        ("agent", json!({ "agent": 7 })),
        ("agent", json!({ "agent": "nobody", "payload": payload })),
        ("agent", json!({ "agent": "" })),
        ("prio", json!({ "agent": "worker", "payload": payload, "prio": 3 })),
        ("priority", json!({ "agent": "worker", "payload": payload, "priority": "high" })),
        ("priority", json!({ "agent": "worker", "payload": payload, "priority": 10 })),
        ("priority", json!({ "agent": "worker", "payload": payload, "priority": -1 })),
        ("timeout_seconds", json!({ "agent": "worker", "payload": payload, "timeout_seconds": 0 })),
        ("run_at", json!({ "agent": "worker", "payload": payload, "run_at": "tomorrow" })),
        ("title", json!({ "agent": "worker", "payload": payload, "title": "x".repeat(201) })),
        ("payload.mode", json!({ "agent": "worker", "payload": { "mode": "dance" } })),
        ("body", json!([])),
        ("body", Value::Null),
    ] {
        let answer = ada.post("/api/v1/tasks", &body).await;
        let error = failure(answer, 422, "invalid_input").await;
        assert_eq!(error["details"]["field"], field, "{body}: {error}");
        let message = error["message"].as_str().unwrap();
        assert!(!message.contains(" at line "), "{message}");
    }
    let post = async |path, body| {
        let request = ada.request(Method::POST, path).header(CONTENT_TYPE, "application/json").body(body);
        request.send().await.unwrap()
    };
    let twice = r#"{"agent": "worker", "agent": "worker"}"#;
    names(post("/api/v1/tasks", twice).await, 422, "invalid_input", "agent").await;
    // Beyond 64 bits, a number in the payload would lose digits.
    let large = r#"{"agent": "worker", "payload": {"mode": "echo", "text": 18446744073709551616}}"#;
    names(post("/api/v1/tasks", large).await, 422, "invalid_input", "payload").await;
    let large =
        r#"{"name": "a", "agent": "worker", "cron": "0 * * * *", "payload": {"mode": -9223372036854775809}}"#;
    names(post("/api/v1/schedules", large).await, 422, "invalid_input", "payload").await;
    let answer = ada.post("/api/v1/agents/hardware-optimizer/analyze", &json!({ "use_models": true })).await;
    names(answer, 422, "invalid_input", "use_models").await;
    let answer = ada.post("/api/v1/agents/hardware-optimizer/analyze", &json!({ "use_model": "no" })).await;
    names(answer, 422, "invalid_input", "use_model").await;
}

#[tokio::test]
async fn invalid_query_names_the_parameter() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=many", "limit"),
        ("limit=-1", "limit"),
        ("limit=5&limit=6", "limit"),
        ("status=done", "status"),
        ("created_after=yesterday", "created_after"),
        ("created_before=", "created_before"),
        ("cursor=AAAA", "cursor"),
        ("cursor=0195F3A0-0000-7000-8000-000000000000", "cursor"),
        ("page=2", "page"),
    ] {
        names(ada.get(&format!("/api/v1/tasks?{query}")).await, 422, "invalid_input", field).await;
    }
}

#[tokio::test]
async fn errors_quote_input_only_in_part() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let long = "x".repeat(60_000);
    for body in [
        json!({ "agent": long }),
        json!({ "agent": "worker", "payload": { "mode": "echo" }, (&long): 1 }),
        json!({ "agent": "worker", "payload": { "mode": "echo", (&long): 1 } }),
        json!({ "agent": "worker", "priority": long }),
        json!({ "agent": "worker", "run_at": long }),
    ] {
        let error = failure(ada.post("/api/v1/tasks", &body).await, 422, "invalid_input").await;
        assert!(error["message"].as_str().unwrap().chars().count() <= 503, "{error}");
        assert!(error["details"]["field"].as_str().unwrap().chars().count() <= 503, "{error}");
    }
    let part =
        format!("--x\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\nx\r\n--x--\r\n", &long[..20_000]);
    let request = ada.request(Method::POST, "/api/v1/documents").body(part);
    let answer = request.header(CONTENT_TYPE, "multipart/form-data; boundary=x").send().await.unwrap();
    assert!(answer.text().await.unwrap().len() < 1_000);
}

#[tokio::test]
async fn body_limit_is_exact() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let body = |size: usize| {
        let frame = r#"{"agent": "worker", "payload": {"mode": "echo", "text": ""}}"#;
        let text = "x".repeat(size - frame.len());
        format!(r#"{{"agent": "worker", "payload": {{"mode": "echo", "text": "{text}"}}}}"#)
    };
    let post = |size| {
        ada.request(Method::POST, "/api/v1/tasks")
            .header(CONTENT_TYPE, "application/json")
            .body(body(size))
            .send()
    };
    success(post(262_144).await.unwrap(), 202).await;
    failure(post(262_145).await.unwrap(), 413, "payload_too_large").await;
    success(ada.get("/api/v1/auth/me").await, 200).await;
}

#[tokio::test]
async fn panic_is_reported_without_its_message_and_affects_no_other_request() {
    let server = Server::start_with(vec![Arc::new(Panicking)], true, |router| router).await;
    let ada = server.user("ada").await;
    for _ in 0..2 {
        let snapshot = success(ada.get("/api/v1/system/metrics").await, 200).await;
        assert_eq!(snapshot["custom"]["panicking"]["reason"], "the source panicked", "{snapshot}");
        assert!(!snapshot.to_string().contains("secret plan"), "{snapshot}");
    }
    success(ada.get("/api/v1/auth/me").await, 200).await;
}

#[tokio::test]
async fn text_of_an_internal_error_stays_in_the_log() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let body = json!({ "agent": "worker", "payload": { "mode": "break" }, "max_attempts": 1 });
    let task = success(ada.post("/api/v1/tasks", &body).await, 202).await;
    let id = task["id"].as_str().unwrap();
    let events = ada.events(id, 0).await;
    let done = ada.task(id).await;
    assert_eq!((&done["status"], &done["error"]["kind"]), (&json!("failed"), &json!("internal")));
    assert_eq!(events.last().unwrap().data["error"]["kind"], "internal");
    assert!(!format!("{done} {events:?}").contains("secret plan"), "{done} {events:?}");
}

#[tokio::test]
async fn unknown_agent_is_not_found() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let answer = ada.request(Method::POST, "/api/v1/agents/hardware-optimizer/analyze").send().await.unwrap();
    failure(answer, 404, "not_found").await;
}

#[tokio::test]
async fn valid_request_id_is_kept_and_any_other_replaced() {
    let server = Server::start().await;
    let ask = async |id: &str| {
        let answer = server.request(Method::GET, "/health").header("x-request-id", id).send().await.unwrap();
        let header = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        success(answer, 200).await; // which holds the header against the metadata
        header
    };
    let longest = "x".repeat(64);
    for good in ["7f3e", "a-b_c.D9", &longest] {
        assert_eq!(ask(good).await, good);
    }
    for bad in ["", "two words", "quote\"", "<b>", "x".repeat(65).as_str()] {
        let made = ask(bad).await;
        assert!(made.len() == 32 && made.bytes().all(|b| b.is_ascii_hexdigit()), "{bad}: {made}");
    }
    assert_ne!(ask("").await, ask("").await);
}

#[tokio::test]
async fn trace_of_the_caller_is_continued() {
    let server = Server::start().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let ask = async |parent: &str, name: Option<&str>| {
        let mut request = server.request(Method::GET, "/health").header("traceparent", parent);
        if let Some(name) = name {
            request = request.header("x-request-id", name);
        }
        let answer = request.send().await.unwrap();
        let header = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body: serde_json::Value = answer.json().await.unwrap();
        (body["metadata"]["trace_id"].as_str().unwrap().to_owned(), header)
    };
    let good = format!("00-{trace}-b7ad6b7169203331-01");
    assert_eq!(ask(&good, None).await, (trace.to_owned(), trace.to_owned()));
    assert_eq!(ask(&good, Some("order-17")).await, (trace.to_owned(), "order-17".to_owned()));
    let (trace_id, header) = ask("00-nonsense", None).await;
    assert!(trace_id == header && trace_id.len() == 32 && trace_id != trace, "{trace_id}");
    assert_eq!(ask("00-nonsense", Some("order-17")).await, ("order-17".to_owned(), "order-17".to_owned()));
}
