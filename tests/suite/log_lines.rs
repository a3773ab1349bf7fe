//! JSON log of the real server: the fields of every line, and one trace id from the request to the agent, in
//! the log and at the collector.

use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use crate::collector::{Collector, named};
use crate::support::{Place, Server};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Registers a user and requests an analysis with this header; waits for its end. Returns the user id and the
/// trace id.
async fn analyze(server: &Server, name: &str, header: (&str, &str)) -> (String, String) {
    let client = Client::new();
    let user = json!({ "username": name, "email": format!("{name}@example.org"), "password": "correct horse battery" });
    let answer = client.post(server.url("/api/v1/auth/register")).json(&user).send().await.unwrap();
    let user: Value = answer.json().await.unwrap();
    let token = user["data"]["access_token"].as_str().unwrap();
    let url = server.url("/api/v1/agents/hardware-optimizer/analyze");
    let request = client.post(url).bearer_auth(token).header(header.0, header.1);
    let answer = request.json(&json!({ "use_model": false })).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let task = answer["data"]["task_id"].as_str().unwrap();
    let events = client.get(server.url(&format!("/api/v1/tasks/{task}/events"))).bearer_auth(token);
    assert!(events.send().await.unwrap().text().await.unwrap().contains("completed"));
    let user = user["data"]["user"]["id"].as_str().unwrap().to_owned();
    (user, answer["metadata"]["trace_id"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_id_is_the_same_from_the_request_to_the_agent() {
    let collector = Collector::start().await;
    let place = Place::new();
    let mut settings = place.settings();
    for (name, value) in [
        ("LOG_FORMAT", "json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address),
        ("OTEL_SERVICE_NAME", "ship"),
    ] {
        settings.push((name.into(), value.into()));
    }
    let mut server = Server::start(&place, &settings);
    let above = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let probes = "0af7651916cd43dd8448eb211c80319c";
    for path in ["/health", "/health/ready", "/metrics"] {
        let probe = Client::new()
            .get(server.url(path))
            .header("traceparent", format!("00-{probes}-b7ad6b7169203331-01"));
        assert_eq!(probe.send().await.unwrap().headers()["x-request-id"], probes);
    }
    let (ada, traced) = analyze(&server, "ada", ("traceparent", &above)).await;
    let (eve, named_by_caller) = analyze(&server, "eve", ("x-request-id", "order-17")).await;
    assert_eq!((traced.as_str(), named_by_caller.as_str()), (TRACE, "order-17"));
    server.signal("TERM");
    assert_eq!(server.ended_within(Duration::from_secs(15)), Some(0));

    let log = server.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    for line in &lines {
        for key in ["timestamp", "level", "service", "trace_id", "user_id", "message"] {
            assert!(line.get(key).is_some(), "{key} in {line}");
        }
        assert_eq!(line["service"], "ship");
        assert!(line.as_object().unwrap().keys().all(|key| !key.contains('.')), "{line}");
    }
    for (trace, user) in [(TRACE, ada), ("order-17", eve)] {
        let of_trace: Vec<&Value> = lines.iter().filter(|line| line["trace_id"] == trace).collect();
        assert!(of_trace.iter().all(|line| line["user_id"] == user.as_str()), "{of_trace:#?}");
        let logged = |message: &str| of_trace.iter().find(|line| line["message"] == message).copied();
        assert_eq!(
            logged("request completed").unwrap()["route"],
            "/api/v1/agents/hardware-optimizer/analyze"
        );
        let ended = logged("attempt ended").unwrap();
        assert_eq!(
            (ended["agent"].as_str(), ended["status"].as_str()),
            (Some("hardware-optimizer"), Some("completed"))
        );
    }

    assert!(!log.contains(probes) && collector.trace(probes).is_empty(), "probes must not be traced");
    let spans = collector.trace(TRACE);
    let request = named(&spans, "POST /api/v1/agents/hardware-optimizer/analyze");
    assert_eq!(named(&spans, "publish").parent, request.id);
    let publish = named(&spans, "publish");
    assert_eq!(named(&spans, "process hardware-optimizer").parent, publish.id);
    let insert = spans.iter().find(|span| span.name == "INSERT tasks" && span.parent == publish.id).unwrap();
    assert_eq!(insert.attributes["db.system.name"], "sqlite");
    assert!(collector.services().iter().all(|service| service == "ship"));
    assert!(!collector.has_heard("correct horse"), "passwords must not be exported");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_logged_at_every_level() {
    let place = Place::new();
    let mut settings = place.settings();
    for (name, value) in
        [("LOG_FORMAT", "json"), ("LOG_LEVEL", "warn,sutazai::cli=info,sutazai_core::identity=info")]
    {
        settings.push((name.into(), value.into()));
    }
    let mut server = Server::start(&place, &settings);
    let nobody = json!({ "login": "nobody", "password": "a wrong password" });
    let login = Client::new().post(server.url("/api/v1/auth/login")).json(&nobody);
    let answer = login.send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    server.signal("TERM");
    assert_eq!(server.ended_within(Duration::from_secs(15)), Some(0));
    let trace = answer["metadata"]["trace_id"].as_str().unwrap();
    let log = server.log();
    assert!(!log.contains("request completed"), "{log}");
    assert!(log.lines().any(|line| line.contains(trace) && line.contains("sign-in rejected")), "{log}");
}
