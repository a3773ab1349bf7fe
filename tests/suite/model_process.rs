//! A server whose model process crashes: it keeps answering, reports the crash, and leaves no process behind.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::support::{Place, Server, text};

/// Upper bound that only a hang exceeds; not a measurement.
const HANG_LIMIT: Duration = Duration::from_secs(60);

fn start(place: &Place) -> Server {
    let mut settings = place.with_model();
    settings.push(("ENABLE_AUTH".into(), "false".into()));
    Server::start(place, &settings)
}

/// Returns the processes whose parent is this one.
fn children(parent: u32) -> BTreeSet<u32> {
    let mut children = BTreeSet::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if stat.rsplit_once(") ").unwrap().1.split(' ').nth(1) == Some(&parent.to_string()) {
            children.insert(pid);
        }
    }
    children
}

fn kill(signal: &str, pid: u32) {
    // Sent twice: Rust's runtime handles the first SIGSEGV, to detect stack overflows.
    for _ in 0..2 {
        let _ = Command::new("kill").args([signal, &pid.to_string()]).output().unwrap();
    }
}

async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < HANG_LIMIT, "expected within {HANG_LIMIT:?}: {what}");
        #[allow(clippy::disallowed_methods)] // another process's time
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn get(server: &Server, path: &str) -> Value {
    Client::new().get(server.url(path)).send().await.unwrap().json().await.unwrap()
}

async fn chat(server: &Server) -> StatusCode {
    let body = json!({ "model": "SmolLM2-135M-Instruct.Q4_1", "max_tokens": 4,
        "messages": [{ "role": "user", "content": "Hello" }] });
    Client::new().post(server.url("/v1/chat/completions")).json(&body).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_of_native_code_costs_no_more_than_a_restart() {
    let place = Place::new();
    let server = start(&place);
    assert_eq!(chat(&server).await, StatusCode::OK);
    let model = *children(server.id()).first().unwrap();
    kill("-SEGV", model);
    until("the crash is seen", || async {
        get(&server, "/api/v1/models").await["data"]["items"][0]["process"]["crashes"] == 1
    })
    .await;
    assert_eq!(get(&server, "/health").await["data"]["status"], "healthy");
    until("the model answers again", || async { chat(&server).await == StatusCode::OK }).await;
    let process = get(&server, "/api/v1/models").await["data"]["items"][0]["process"].clone();
    assert_eq!((&process["state"], &process["last_crash"]), (&json!("ready"), &json!("killed by SIGSEGV")));
    assert!(process["variant"].is_string(), "{process}");
    let metrics = Client::new().get(server.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("model_process_crashes_total{model=\"SmolLM2-135M-Instruct.Q4_1\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("model_process_ready{model=\"SmolLM2-135M-Instruct.Q4_1\"} 1"), "{metrics}");
    assert!(!children(server.id()).contains(&model));
}

#[tokio::test(flavor = "multi_thread")]
async fn model_process_ends_with_its_server_however_that_ends() {
    for signal in ["KILL", "TERM"] {
        let place = Place::new();
        let mut server = start(&place);
        let model = *children(server.id()).first().unwrap();
        server.signal(signal);
        server.ended_within(HANG_LIMIT);
        until("the model process is gone", || async { !fs::exists(format!("/proc/{model}")).unwrap() }).await;
    }
}

#[test]
fn missing_program_for_models_is_named() {
    let place = Place::new();
    let mut settings = place.with_model();
    settings.push(("MODEL_PROGRAM".into(), "/nowhere/sutazai".into()));
    let output = place.sutazai(&settings, &["models", "list"]).output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("MODEL_PROGRAM: expected a program") && errors.contains("/nowhere/sutazai"),
        "{errors}"
    );
}

#[test]
fn models_run_in_process_when_configured() {
    let place = Place::new();
    let mut settings = place.with_model();
    settings.push(("MODEL_PROGRAM".into(), "in-process".into()));
    let output = place.sutazai(&settings, &["models", "list", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let models: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(models[0]["backend"], "llama-cpp");
    assert!(models[0].get("process").is_none(), "{models}");
}
