//! A real Prometheus scrapes the real server: `promtool` accepts the text, and the stored values match what
//! happened.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};

use crate::support::HANG_LIMIT;
use crate::support::{Place, Server, text};

const TOKEN: &str = "a token for the scraper";

/// Prometheus server that ends with the test.
struct Prometheus {
    child: Child,
    address: String,
}

impl Prometheus {
    fn start(place: &Place, server: &Server) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let config = place.path("prometheus.yml");
        let scrape = format!(
            "scrape_configs:\n- job_name: sutazai\n  scrape_interval: 1s\n  authorization:\n    credentials: {TOKEN}\n  \
             static_configs:\n  - targets: ['{}']\n",
            server.address
        );
        std::fs::write(&config, scrape).unwrap();
        let log = std::fs::File::create(place.path("prometheus.log")).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", place.path("prometheus").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|e| panic!("prometheus: run scripts/install.sh test: {e}"));
        Self { child, address }
    }

    /// Returns the value of the one series that the query yields, if there is one.
    async fn value(&self, query: &str) -> Option<f64> {
        let url = reqwest::Url::parse_with_params(
            &format!("http://{}/api/v1/query", self.address),
            &[("query", query)],
        );
        let answer: Value = Client::new().get(url.unwrap()).send().await.ok()?.json().await.ok()?;
        let result = answer["data"]["result"].as_array()?;
        assert!(result.len() <= 1, "{query} gives {result:?}");
        result.first()?["value"][1].as_str()?.parse().ok()
    }

    /// Waits until the query yields this value.
    async fn until(&self, query: &str, expected: f64) {
        let begun = Instant::now();
        loop {
            let value = self.value(query).await;
            if value == Some(expected) {
                return;
            }
            assert!(begun.elapsed() < HANG_LIMIT, "{query} is {value:?}, expected {expected}");
            #[allow(clippy::disallowed_methods)] // another program's time
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the output of `promtool check metrics` for this text.
fn promtool(metrics: &str) -> String {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("promtool: run scripts/install.sh test: {e}"));
    child.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    text(&output.stdout) + &text(&output.stderr)
}

async fn post(server: &Server, path: &str, body: &Value, token: &str) -> Value {
    let request = Client::new().post(server.url(path)).bearer_auth(token).json(body);
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_stores_the_expected_values() {
    let place = Place::new();
    let mut settings = place.settings();
    // The port is closed: the state of the circuit breaker is tested.
    settings.push(("MODEL_BACKENDS".into(), "openai=http://127.0.0.1:9/v1".into()));
    settings.push(("METRICS_TOKEN".into(), TOKEN.into()));
    let server = Server::start(&place, &settings);
    let prometheus = Prometheus::start(&place, &server);

    let user = json!({ "username": "ada", "email": "ada@example.org", "password": "correct horse battery" });
    let ada = post(&server, "/api/v1/auth/register", &user, "").await;
    let token = ada["data"]["access_token"].as_str().unwrap();
    for (password, times) in [("correct horse battery", 2), ("wrong horse battery", 3)] {
        for _ in 0..times {
            post(&server, "/api/v1/auth/login", &json!({ "login": "ada", "password": password }), "").await;
        }
    }
    for n in 0..7 {
        Client::new().get(server.url(&format!("/nowhere/{n}"))).send().await.unwrap();
    }
    let analyze = "/api/v1/agents/hardware-optimizer/analyze";
    let task = post(&server, analyze, &json!({ "use_model": false }), token).await;
    let events = server.url(&format!("/api/v1/tasks/{}/events", task["data"]["task_id"].as_str().unwrap()));
    Client::new().get(events).bearer_auth(token).send().await.unwrap().text().await.unwrap();

    let metrics = Client::new().get(server.url("/metrics")).bearer_auth(TOKEN).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let complaints = promtool(&metrics);
    // The name is required; otherwise `_count` is a suffix of histograms.
    let expected =
        "active_users_count non-histogram and non-summary metrics should not have \"_count\" suffix";
    let others: Vec<&str> = complaints.lines().filter(|line| !line.contains(expected)).collect();
    assert!(others.is_empty(), "{complaints}\n{metrics}");

    for (query, value) in [
        (r#"up{job="sutazai"}"#, 1.0),
        (r#"http_requests_total{method="POST",endpoint="/api/v1/auth/login",status="200"}"#, 2.0),
        (r#"http_requests_total{method="POST",endpoint="/api/v1/auth/login",status="401"}"#, 3.0),
        (r#"http_requests_total{endpoint="unknown"}"#, 7.0),
        (r#"http_request_duration_seconds_count{method="POST",endpoint="/api/v1/auth/login"}"#, 5.0),
        (r#"http_request_duration_seconds_bucket{endpoint="unknown",le="30"}"#, 7.0),
        (r#"user_login_total{outcome="success"}"#, 2.0),
        (r#"user_login_total{outcome="refused"}"#, 3.0),
        ("active_users_count", 1.0),
        ("hardware_analysis_requests_total", 1.0),
        (r#"tasks_total{agent="hardware-optimizer",status="pending"}"#, 1.0),
        (r#"tasks_total{agent="hardware-optimizer",status="completed"}"#, 1.0),
        (r#"task_duration_seconds_count{agent="hardware-optimizer"}"#, 1.0),
        ("task_queue_depth", 0.0),
        ("task_queue_oldest_age_seconds", 0.0),
        (r#"circuit_breaker_state{backend="openai"}"#, 0.0),
        ("argon2_queue_depth", 0.0),
        (r#"cpu_usage_percent >= bool 0 and cpu_usage_percent <= 100"#, 1.0),
        (r#"memory_usage_percent > bool 0 and memory_usage_percent <= 100"#, 1.0),
        (r#"disk_usage_percent{mount="/"} > bool 0 and disk_usage_percent{mount="/"} <= 100"#, 1.0),
        ("process_resident_memory_bytes > bool 1e6", 1.0),
        ("process_cpu_seconds_total > bool 0", 1.0),
        ("process_open_fds > bool 5 and process_open_fds < process_max_fds", 1.0),
        ("(time() - process_start_time_seconds) < bool 300", 1.0),
    ] {
        prometheus.until(query, value).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_is_ready_and_reports_degraded_services() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.push(("MODEL_BACKENDS".into(), "openai=http://127.0.0.1:9/v1".into()));
    settings.push(("ENABLE_MONITORING".into(), "false".into()));
    let server = Server::start(&place, &settings);
    let ready: Value =
        Client::new().get(server.url("/health/ready")).send().await.unwrap().json().await.unwrap();
    let checks = ready["data"]["checks"].as_array().unwrap();
    let names: Vec<&str> = checks.iter().filter_map(|check| check["name"].as_str()).collect();
    assert_eq!(names, ["database", "model", "disk", "memory"]);
    assert_eq!((&checks[0]["status"], &checks[1]["status"]), (&json!("healthy"), &json!("degraded")));
    assert_eq!(checks[1]["reason"], "cannot be reached");
    assert!(!ready.to_string().contains("127.0.0.1"), "{ready}");
    let metrics = Client::new().get(server.url("/metrics")).send().await.unwrap();
    assert_eq!(metrics.status(), 404, "monitoring is disabled");
}
