//! The binary over PostgreSQL: migrations, two servers that share a database, and an unresponsive database.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::postgres_server::Postgres;
use crate::proxy::{Network, Proxy, host_of};
use crate::support::HANG_LIMIT;
use crate::support::{Place, Server, text};

/// Timeout of a request in the server, unless the timeout of the database comes first.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

#[test]
fn migrations_are_applied_and_reverted_and_no_password_is_shown() {
    let (place, postgres) = (Place::new(), Postgres::start());
    let settings = postgres.settings(&place);
    let run = |arguments: &[&str]| place.sutazai(&settings, arguments).output().unwrap();
    assert!(!text(&run(&["migrate", "status"]).stdout).contains("applied"));
    let up = run(&["migrate", "up"]);
    assert!(up.status.success(), "{}", text(&up.stderr));
    assert!(!text(&run(&["migrate", "status"]).stdout).contains("pending"));
    assert!(text(&run(&["migrate", "down", "--steps", "99"]).stdout).contains("0001  reverted"));
    assert!(text(&run(&["migrate", "up"]).stdout).contains("0001  applied"));

    let password = postgres.url.split(['@', ':']).nth(2).unwrap().to_owned();
    let mut listening = settings.clone();
    listening.push(("DATABASE_LISTEN_URL".into(), postgres.url.clone()));
    let shown = place.sutazai(&listening, &["config", "check"]).output().unwrap();
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
        // Reads from the server that did not accept it. The stream ends when the task has ended.
        let url = servers[(n + 1) % 2].url(&format!("/api/v1/tasks/{id}"));
        let events =
            client.get(format!("{url}/events")).timeout(Duration::from_secs(60)).send().await.unwrap();
        let events = events.text().await.unwrap();
        assert!(events.contains("completed"), "{events}");
        let task: Value = client.get(url).send().await.unwrap().json().await.unwrap();
        assert!(task["data"]["result"]["metrics"].is_object(), "{task}");
    }
    // A server without workers knows which agents are online.
    let without_workers = [settings, vec![("WORKERS".into(), "0".into())]].concat();
    let third = Server::start(&place, &without_workers);
    let agents = client.get(third.url("/api/v1/agents")).send().await.unwrap().json::<Value>().await.unwrap();
    let optimizer = &agents["data"]["items"][0];
    assert!(optimizer["online"] == true && optimizer["last_seen_at"].is_string(), "{agents}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unresponsive_database_is_reported_in_time() {
    let (place, postgres) = (Place::new(), Postgres::start());
    let proxy = Proxy::before(host_of(&postgres.url)).await;
    let mut settings = postgres.settings(&place);
    settings.retain(|(name, _)| name != "DATABASE_URL");
    settings.push(("DATABASE_URL".into(), proxy.through(&postgres.url)));
    settings.push(("DATABASE_LISTEN_URL".into(), postgres.url.clone()));
    let server = Server::start(&place, &settings);
    let client = reqwest::Client::new();
    let ready = async || {
        let begin = Instant::now();
        let answer = client.get(server.url("/health/ready")).send().await.unwrap();
        let (status, took) = (answer.status().as_u16(), begin.elapsed());
        (status, answer.text().await.unwrap(), took)
    };
    let submit = async || {
        let body = json!({ "agent": "hardware-optimizer", "payload": { "use_model": false } });
        let answer = client.post(server.url("/api/v1/tasks")).json(&body).send().await.unwrap();
        answer.status().as_u16()
    };
    assert_eq!((ready().await.0, submit().await), (200, 202));

    proxy.set(Network::Silent);
    let begin = Instant::now();
    assert_eq!(submit().await, 504);
    assert!(begin.elapsed() < REQUEST_TIMEOUT / 2, "{:?}", begin.elapsed());
    let (status, report, took) = ready().await;
    assert_eq!(status, 503, "{report}");
    assert!(report.contains("did not answer in time") && took < HANG_LIMIT, "{took:?}: {report}");

    proxy.set(Network::Whole);
    let begin = Instant::now();
    while ready().await.0 != 200 {
        assert!(begin.elapsed() < HANG_LIMIT, "the server must become ready again");
    }
    assert_eq!(submit().await, 202);
}
