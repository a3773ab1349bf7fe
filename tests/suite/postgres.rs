//! The binary over PostgreSQL: migrations, and two servers that share one database.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Place, Server, text};

/// A PostgreSQL server of the test's own, ended with it.
pub(crate) struct Postgres {
    script: Child,
    stdin: Option<ChildStdin>,
    pub(crate) url: String,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres.sh"))
            .arg("fsync=off")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // All that it says: it would end early if nobody listened to the rest.
        let said = BufReader::new(script.stdout.take().unwrap()).lines().take(3);
        let said: Vec<String> = said.collect::<Result<_, _>>().unwrap();
        let stdin = script.stdin.take();
        Self { script, stdin, url: format!("{}/postgres", said[0]) }
    }

    pub(crate) fn settings(&self, place: &Place) -> Vec<(String, String)> {
        let mut settings = place.settings();
        settings.retain(|(name, _)| name != "DATABASE_URL");
        settings.push(("DATABASE_URL".into(), self.url.clone()));
        settings.push(("ENABLE_AUTH".into(), "false".into()));
        settings
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.script.wait();
    }
}

#[test]
fn migrations_go_forward_and_back_and_no_password_is_shown() {
    let (place, postgres) = (Place::new(), Postgres::start());
    let settings = postgres.settings(&place);
    let run = |arguments: &[&str]| place.sutazai(&settings, arguments).output().unwrap();
    assert!(!text(&run(&["migrate", "status"]).stdout).contains("applied"));
    let up = run(&["migrate", "up"]);
    assert!(up.status.success(), "{}", text(&up.stderr));
    assert!(!text(&run(&["migrate", "status"]).stdout).contains("pending"));
    assert!(text(&run(&["migrate", "down", "--steps", "9"]).stdout).contains("0001  taken back"));
    assert!(text(&run(&["migrate", "up"]).stdout).contains("0001  applied"));

    let password = postgres.url.split(['@', ':']).nth(2).unwrap().to_owned();
    let shown = run(&["config", "check"]);
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    assert!(text(&shown.stdout).contains("postgres://sutazai:(hidden)@127.0.0.1"), "{}", text(&shown.stdout));
    let away = run(&["--database", &postgres.url.replace("/postgres", "/nowhere"), "serve"]);
    assert_eq!(away.status.code(), Some(3), "{}", text(&away.stderr));
    assert!(text(&away.stderr).contains("nowhere"), "{}", text(&away.stderr));
    for output in [shown, away] {
        assert!(!(text(&output.stdout) + &text(&output.stderr)).contains(&password));
    }
}

#[tokio::test]
async fn two_servers_share_one_database() {
    let (place, postgres) = (Place::new(), Postgres::start());
    let settings = postgres.settings(&place);
    let servers = [Server::start(&place, &settings), Server::start(&place, &settings)];
    let client = reqwest::Client::new();
    let body = json!({ "agent": "hardware-optimizer", "payload": { "use_model": false } });
    let mut ids = Vec::new();
    for n in 0..6 {
        let answer = client.post(servers[n % 2].url("/api/v1/tasks")).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 202);
        let answer: Value = answer.json().await.unwrap();
        ids.push(answer["data"]["id"].as_str().unwrap().to_owned());
    }
    for (n, id) in ids.iter().enumerate() {
        // At the server that did not take it. The stream ends when the task has ended.
        let url = servers[(n + 1) % 2].url(&format!("/api/v1/tasks/{id}"));
        let events =
            client.get(format!("{url}/events")).timeout(Duration::from_secs(60)).send().await.unwrap();
        let events = events.text().await.unwrap();
        assert!(events.contains("completed"), "{events}");
        let task: Value = client.get(url).send().await.unwrap().json().await.unwrap();
        assert!(task["data"]["result"]["metrics"].is_object(), "{task}");
    }
}
