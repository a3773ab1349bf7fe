//! Two servers that share a Redis: one rate limit, immediate revocation of sessions, shared results and agent
//! status.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sutazai_core::ports::{Clock, SystemClock};

use crate::postgres_server::Postgres;
use crate::support::HANG_LIMIT;
use crate::support::{Place, Server};

const PASSWORD: &str = "correct horse battery";
const REDIS_PASSWORD: &str = "a-password-of-redis";

/// Redis server that ends with the test.
pub(crate) struct Redis {
    script: Child,
    stdin: Option<ChildStdin>,
    pub(crate) url: String,
    port: String,
}

impl Redis {
    pub(crate) fn start(port: Option<&str>) -> Self {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/redis.sh"))
            .args(port)
            .env("SUTAZAI_TEST_REDIS_PASSWORD", REDIS_PASSWORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // All lines must be read: the script ends early if its output is closed.
        let lines = BufReader::new(script.stdout.take().unwrap()).lines().take(3);
        let lines: Vec<String> = lines.collect::<Result<_, _>>().unwrap();
        let [url, port, _] = lines.try_into().unwrap();
        let stdin = script.stdin.take();
        Self { script, stdin, url, port }
    }

    /// Returns the value of this key.
    fn get(&self, key: &str) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port, "get", key])
            .env("REDISCLI_AUTH", REDIS_PASSWORD)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.script.wait();
    }
}

async fn ask(server: &Server, method: Method, path: &str, token: &str, body: Value) -> (StatusCode, Value) {
    let request = Client::new().request(method, server.url(path)).bearer_auth(token).json(&body);
    let answer = request.send().await.unwrap();
    let status = answer.status();
    (status, answer.json::<Value>().await.unwrap()["data"].take())
}

async fn get(server: &Server, path: &str, token: &str) -> (StatusCode, Value) {
    ask(server, Method::GET, path, token, json!({})).await
}

async fn redis_is(server: &Server, status: &str) -> Value {
    let begun = Instant::now();
    loop {
        let (code, report) = get(server, "/health/ready", "").await;
        assert_eq!(code, StatusCode::OK, "{report}");
        let redis = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "redis");
        if redis.unwrap()["status"] == status {
            return report;
        }
        assert!(begun.elapsed() < HANG_LIMIT, "{report}");
        SystemClock.sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_share_state_and_work_alone_while_redis_is_unreachable() {
    let (place, postgres, redis) = (Place::new(), Postgres::start(), Redis::start(None));
    let mut settings = postgres.settings(&place);
    settings.retain(|(name, _)| !["ENABLE_AUTH", "ENABLE_RATE_LIMITING"].contains(&name.as_str()));
    for (name, value) in [
        ("REDIS_URL", redis.url.as_str()),
        ("JWT_SECRET_KEY", "7f3a91c04be2d8561e9fa07c3b5d2846"),
        ("RATE_LIMIT_PER_MINUTE", "30"),
        ("LOG_FORMAT", "json"),
    ] {
        settings.push((name.into(), value.into()));
    }
    let without_workers = [settings.clone(), vec![("WORKERS".into(), "0".into())]].concat();
    let (mut one, two) = (Server::start(&place, &without_workers), Server::start(&place, &settings));
    redis_is(&one, "healthy").await;

    let ada = json!({ "username": "ada", "email": "ada@example.org", "password": PASSWORD });
    let (status, ada) = ask(&one, Method::POST, "/api/v1/auth/register", "", ada).await;
    assert_eq!(status, StatusCode::CREATED);
    let token = ada["access_token"].as_str().unwrap();

    // The agents that workers serve are known to the server without workers.
    let begun = Instant::now();
    let cached = loop {
        let cached = redis.get("agent:status:hardware-optimizer");
        if cached.len() > 19 {
            break cached;
        }
        assert!(begun.elapsed() < HANG_LIMIT, "{cached:?}");
        SystemClock.sleep(Duration::from_millis(500)).await;
    };
    let (_, agents) = get(&one, "/api/v1/agents", token).await;
    let optimizer = &agents["items"][0];
    assert_eq!(optimizer["online"], true, "{agents}");
    assert_eq!(optimizer["last_seen_at"].as_str().unwrap()[..19], cached[..19]);

    // An ended task is cached until it is deleted at either server.
    let new = json!({ "agent": "hardware-optimizer", "payload": { "use_model": false } });
    let (_, task) = ask(&one, Method::POST, "/api/v1/tasks", token, new).await;
    let path = format!("/api/v1/tasks/{}", task["id"].as_str().unwrap());
    let events = Client::new().get(one.url(&format!("{path}/events"))).bearer_auth(token).send().await;
    assert!(events.unwrap().text().await.unwrap().contains("completed"));
    let (_, first) = get(&one, &path, token).await;
    let key = format!("task:result:{}", task["id"].as_str().unwrap());
    assert!(redis.get(&key).contains("\"completed\""), "{}", redis.get(&key));
    assert_eq!(get(&two, &path, token).await, (StatusCode::OK, first));
    assert_eq!(ask(&two, Method::DELETE, &path, token, json!({})).await.0, StatusCode::OK);
    assert_eq!(get(&one, &path, token).await.0, StatusCode::NOT_FOUND);

    // Both servers share one rate limit.
    let mut granted = 0;
    for n in 0..60 {
        let server = [&one, &two][n % 2];
        granted += u32::from(get(server, "/api/v1/auth/me", token).await.0 == StatusCode::OK);
    }
    assert!((15..=30).contains(&granted), "{granted} of 60 passed");
    assert_eq!(get(&two, "/api/v1/auth/me", token).await.0, StatusCode::TOO_MANY_REQUESTS);

    // A session that ends at one server is rejected by the other at its next request.
    let eve = json!({ "username": "eve", "email": "eve@example.org", "password": PASSWORD });
    let (_, eve) = ask(&one, Method::POST, "/api/v1/auth/register", "", eve).await;
    let eve = eve["access_token"].as_str().unwrap();
    assert_eq!(get(&two, "/api/v1/auth/me", eve).await.0, StatusCode::OK);
    assert_eq!(ask(&one, Method::POST, "/api/v1/auth/logout", eve, json!({})).await.0, StatusCode::OK);
    assert_eq!(get(&two, "/api/v1/auth/me", eve).await.0, StatusCode::UNAUTHORIZED);

    // Without Redis each server counts alone, and both keep serving.
    let port = redis.port.clone();
    drop(redis);
    let mut granted = 0;
    for n in 0..60 {
        let (status, _) = get([&one, &two][n % 2], "/api/v1/auth/me", token).await;
        granted += u32::from(status == StatusCode::OK);
    }
    assert_eq!(granted, 60, "30 at each server");
    let report = redis_is(&one, "degraded").await;
    assert_eq!(report["status"], "degraded", "{report}");
    assert_eq!(get(&one, "/api/v1/agents", "").await.0, StatusCode::UNAUTHORIZED);
    let _again = Redis::start(Some(&port));
    redis_is(&one, "healthy").await;
    redis_is(&two, "healthy").await;
    one.signal("TERM");
    one.ended_within(Duration::from_secs(15));
    let log = one.log();
    assert_eq!(log.matches("Redis unreachable").count(), 1, "{log}");
    assert_eq!(log.matches("Redis reachable again").count(), 1, "{log}");
    assert!(!log.contains(REDIS_PASSWORD));
}

#[test]
fn invalid_redis_address_is_named_without_its_password() {
    let place = Place::new();
    let mut settings = place.settings();
    settings.push(("REDIS_URL".into(), format!("redis:/:{REDIS_PASSWORD}@here")));
    let output = place.sutazai(&settings, &["serve"]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("REDIS_URL: expected redis://") && !errors.contains(REDIS_PASSWORD), "{errors}");
}
