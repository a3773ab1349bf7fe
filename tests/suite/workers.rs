//! Servers without workers and worker processes without a server: they share only the database.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};

use crate::examples::example;
use crate::postgres_server::Postgres;
use crate::support::HANG_LIMIT;
use crate::support::{Place, Server, text};

type Settings = Vec<(String, String)>;

/// Processes of an embedder with a custom agent.
struct Processes<'a> {
    place: &'a Place,
    settings: Settings,
}

impl Processes<'_> {
    fn command(&self, part: &str, more: &[(&str, &str)]) -> Command {
        let mut command = self.place.program(&example("07_own_processes"), &self.settings, &[part]);
        command.envs(more.iter().copied());
        command
    }

    fn server(&self) -> Server {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        Server::spawn(self.command("serve", &[("LISTEN", &address)]), address)
    }

    fn worker(&self, grace: &str) -> Server {
        let settings = [("WORKERS", "4"), ("LEASE_SECONDS", "2"), ("SHUTDOWN_GRACE_SECONDS", grace)];
        Server::spawn(self.command("worker", &settings), String::new())
    }
}

async fn submit(server: &Server, agent: &str, payload: Value) -> String {
    let body = json!({ "agent": agent, "payload": payload });
    let answer = Client::new().post(server.url("/api/v1/tasks")).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    answer.json::<Value>().await.unwrap()["data"]["id"].as_str().unwrap().to_owned()
}

async fn get(server: &Server, path: &str) -> Value {
    let answer = Client::new().get(server.url(path)).send().await.unwrap();
    answer.json::<Value>().await.unwrap()["data"].take()
}

/// Follows the events of a task until it has ended; returns the task.
async fn ended(server: &Server, id: &str) -> Value {
    let url = server.url(&format!("/api/v1/tasks/{id}/events"));
    let events = Client::new().get(url).timeout(Duration::from_secs(60)).send().await.unwrap();
    events.text().await.unwrap();
    get(server, &format!("/api/v1/tasks/{id}")).await
}

/// Returns how often each task has written its line.
fn journal(file: &Path) -> BTreeMap<String, u64> {
    let mut lines = BTreeMap::new();
    for line in std::fs::read_to_string(file).unwrap_or_default().lines() {
        *lines.entry(line.split(' ').next().unwrap().to_owned()).or_default() += 1;
    }
    lines
}

async fn until(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < HANG_LIMIT, "the condition must hold within 60 s");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_a_killed_worker_are_taken_over_and_those_of_a_stopped_one_released() {
    let (place, postgres) = (Place::new(), Postgres::start());
    let processes = Processes { place: &place, settings: postgres.settings(&place) };
    let server = processes.server();
    let file = place.path("journal");
    let entry = |seconds: f64| json!({ "file": file, "seconds": seconds });

    let mut ids = Vec::new();
    for _ in 0..16 {
        ids.push(submit(&server, "journal", entry(0.5)).await);
    }
    let mut doomed = processes.worker("10");
    let other = processes.worker("0");
    until(|| !journal(&file).is_empty()).await;
    doomed.signal("KILL");
    assert_eq!(doomed.ended_within(Duration::from_secs(5)), None);
    let killed = Instant::now();
    let mut lost = 0;
    for id in &ids {
        let task = ended(&server, id).await;
        assert_eq!(task["status"], "completed", "{task}");
        lost += task["attempt"].as_u64().unwrap() - 1;
    }
    assert!(killed.elapsed() < HANG_LIMIT, "{:?}", killed.elapsed());
    assert!(lost > 0, "the killed worker must have held tasks");
    let lines = journal(&file);
    assert_eq!(lines.len(), ids.len());
    assert!(lines.values().all(|n| (1..=2).contains(n)), "{lines:?}");

    let long = submit(&server, "journal", entry(3.0)).await;
    let begun = Instant::now();
    while get(&server, &format!("/api/v1/tasks/{long}")).await["status"] != "processing" {
        assert!(begun.elapsed() < HANG_LIMIT);
    }
    let mut stopped = other;
    stopped.signal("TERM");
    assert_eq!(stopped.ended_within(Duration::from_secs(3)), Some(0));
    let task = get(&server, &format!("/api/v1/tasks/{long}")).await;
    assert_eq!((&task["status"], &task["failures"]), (&json!("pending"), &json!(0)), "{task}");

    let mut last = processes.worker("10");
    while get(&server, &format!("/api/v1/tasks/{long}")).await["status"] != "processing" {
        assert!(begun.elapsed() < HANG_LIMIT);
    }
    last.signal("TERM");
    assert_eq!(last.ended_within(Duration::from_secs(8)), Some(0));
    assert_eq!(get(&server, &format!("/api/v1/tasks/{long}")).await["status"], "completed");
    assert_eq!(journal(&file)[&long], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_and_worker_on_one_machine_share_an_sqlite_file() {
    let place = Place::new();
    let with = |more: &[(&str, &str)]| -> Settings {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        place.settings().into_iter().chain(more).collect()
    };
    let server = Server::start(&place, &with(&[("ENABLE_AUTH", "false"), ("WORKERS", "0")]));
    let ready = get(&server, "/health/ready").await;
    let checks: Vec<_> = ready["checks"].as_array().unwrap().iter().map(|check| &check["name"]).collect();
    assert!(checks.contains(&&json!("workers")), "{ready}");
    let id = submit(&server, "hardware-optimizer", json!({ "use_model": false })).await;
    assert_eq!(get(&server, &format!("/api/v1/tasks/{id}")).await["status"], "pending");
    // A worker needs no signing key and accepts no connections.
    let mut worker = Server::worker(&place, &with(&[("ENVIRONMENT", "production"), ("LISTEN", "0.0.0.0:1")]));
    for _ in 0..3 {
        let id = submit(&server, "hardware-optimizer", json!({ "use_model": false })).await;
        assert_eq!(ended(&server, &id).await["status"], "completed");
    }
    assert_eq!(ended(&server, &id).await["status"], "completed");
    worker.signal("TERM");
    assert_eq!(worker.ended_within(Duration::from_secs(15)), Some(0));
    let log = worker.log();
    assert!(log.contains("hardware-optimizer,model-puller") && log.contains("worker stopped"), "{log}");

    let none = place.sutazai(&with(&[("WORKERS", "0")]), &["worker"]).output().unwrap();
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none.stderr).contains("WORKERS: expected a whole number from 1"), "{}", text(&none.stderr));
}
