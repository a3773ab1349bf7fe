//! Rate limits, and the client addresses that they use.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use serde_json::json;
use sutazai_core::ports::{Clock, Quota, RateKey, RateLimitDecision, RateLimiter};
use sutazai_core::testing::ManualClock;
use sutazai_core::{Error, Result};
use sutazai_http::{RateLimits, SecuritySettings, ServerConfig};

use crate::support::{PASSWORD, Server, User, failure, names, success};

async fn limited(sign_in: u32, calls: u32, proxies: &str) -> (Server, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new());
    let shared: Arc<dyn Clock> = clock.clone();
    let protection = SecuritySettings {
        rate_limits: Some(RateLimits::per_minute(sign_in, calls, &shared)),
        trusted_proxies: proxies.parse().unwrap(),
        ..SecuritySettings::default()
    };
    (Server::start_exposed_at(clock.clone(), protection).await, clock)
}

async fn login(server: &Server, header: (&str, &str)) -> Response {
    let body = json!({ "login": "ada", "password": "wrong password" });
    let request = server.request(Method::POST, "/api/v1/auth/login").header(header.0, header.1);
    request.json(&body).send().await.unwrap()
}

fn told<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn sign_in_is_limited_to_five_attempts_per_minute() {
    let (server, clock) = limited(5, 60, "").await;
    for remaining in (0..5).rev() {
        let answer = login(&server, ("x-a", "b")).await;
        assert_eq!(answer.status(), 401);
        assert_eq!(told(answer.headers(), "ratelimit-policy"), "\"sign-in\";q=5;w=60");
        let whole = 60 - remaining * 12;
        assert_eq!(told(answer.headers(), "ratelimit"), format!("\"sign-in\";r={remaining};t={whole}"));
    }
    let answer = login(&server, ("x-a", "b")).await;
    assert_eq!(told(answer.headers(), "retry-after"), "12");
    assert_eq!(told(answer.headers(), "ratelimit"), "\"sign-in\";r=0;t=12");
    let error = failure(answer, 429, "rate_limited").await;
    assert_eq!(error["details"]["retry_after_seconds"], 12);
    // Registrations and refreshes with an invalid token count too; routes without a secret do not.
    for (path, body) in [
        ("register", json!({ "username": "eve", "email": "e@example.org", "password": PASSWORD })),
        ("refresh", json!({ "refresh_token": "x" })),
    ] {
        let request = server.request(Method::POST, &format!("/api/v1/auth/{path}")).json(&body);
        failure(request.send().await.unwrap(), 429, "rate_limited").await;
    }
    let health = server.request(Method::GET, "/health").send().await.unwrap();
    assert!(!health.headers().contains_key("ratelimit"));
    success(health, 200).await;
    clock.advance(Duration::from_secs(12));
    assert_eq!(login(&server, ("x-a", "b")).await.status(), 401);
    assert_eq!(login(&server, ("x-a", "b")).await.status(), 429);
}

#[tokio::test]
async fn forged_forwarding_header_does_not_evade_the_limit() {
    let (server, _) = limited(5, 60, "").await;
    let mut statuses = Vec::new();
    for number in 0..8 {
        let forged = format!("198.51.100.{number}");
        let name = ["x-forwarded-for", "x-real-ip", "cf-connecting-ip", "true-client-ip"][number % 4];
        statuses.push(login(&server, (name, &forged)).await.status().as_u16());
        statuses.push(login(&server, ("forwarded", &format!("for={forged}"))).await.status().as_u16());
    }
    assert_eq!(statuses[..5], [401; 5]);
    assert_eq!(statuses[5..], [429; 11]);
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_limited_separately() {
    let (server, _) = limited(5, 60, "127.0.0.0/8").await;
    for caller in ["198.51.100.1", "2001:db8:0:1::1"] {
        for _ in 0..5 {
            // The entry that the client sent, before that of the proxy.
            assert_eq!(
                login(&server, ("x-forwarded-for", &format!("6.6.6.6, {caller}"))).await.status(),
                401
            );
        }
        assert_eq!(login(&server, ("x-forwarded-for", caller)).await.status(), 429, "{caller}");
    }
    assert_eq!(login(&server, ("x-forwarded-for", "2001:db8:0:1:ffff::9")).await.status(), 429);
    assert_eq!(login(&server, ("x-forwarded-for", "2001:db8:0:2::1")).await.status(), 401);
}

/// Sends a request with this API key.
async fn with_key(server: &Server, key: &str) -> Response {
    server.request(Method::GET, "/api/v1/tasks").header("x-api-key", key).send().await.unwrap()
}

async fn new_key(user: &User<'_>, limit: Option<u32>) -> String {
    let new = json!({ "name": "a", "scopes": ["tasks:read"], "requests_per_minute": limit });
    let created = success(user.post("/api/v1/auth/api-keys", &new).await, 201).await;
    assert_eq!(created["requests_per_minute"], json!(limit));
    created["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn user_is_limited_over_all_tokens() {
    let (server, clock) = limited(100, 4, "").await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let again = json!({ "login": "ada", "password": PASSWORD });
    let again = server.request(Method::POST, "/api/v1/auth/login").json(&again).send().await.unwrap();
    let again = success(again, 200).await;
    let token = again["access_token"].as_str().unwrap().to_owned();
    let second = User { server: &server, token, signed_in: again };
    for _ in 0..2 {
        assert_eq!(ada.get("/api/v1/tasks").await.status(), 200);
        let last = second.get("/api/v1/auth/me").await;
        assert_eq!(told(last.headers(), "ratelimit-policy"), "\"calls\";q=4;w=60");
    }
    for answer in [ada.get("/api/v1/tasks").await, second.get("/api/v1/agents").await] {
        assert_eq!(told(answer.headers(), "retry-after"), "15");
        failure(answer, 429, "rate_limited").await;
    }
    success(eve.get("/api/v1/tasks").await, 200).await;
    clock.advance(Duration::from_secs(15));
    success(ada.get("/api/v1/tasks").await, 200).await;
}

#[tokio::test]
async fn api_keys_share_the_user_limit_and_may_have_their_own() {
    let (server, clock) = limited(100, 6, "").await;
    let ada = server.user("ada").await;
    let [one, two, slow] = [None, None, Some(2)].map(|limit| new_key(&ada, limit));
    let (one, two, slow) = (one.await, two.await, slow.await);
    clock.advance(Duration::from_secs(60)); // The keys are made, and the user's quota is whole again.
    for remaining in [1, 0] {
        let answer = with_key(&server, &slow).await;
        assert_eq!(told(answer.headers(), "ratelimit-policy"), "\"calls\";q=2;w=60");
        assert_eq!(
            told(answer.headers(), "ratelimit"),
            format!("\"calls\";r={remaining};t={}", 60 - remaining * 30)
        );
        success(answer, 200).await;
    }
    let answer = with_key(&server, &slow).await;
    assert_eq!(told(answer.headers(), "retry-after"), "30");
    failure(answer, 429, "rate_limited").await;
    // Requests that the key's own limit rejects do not count towards its user's limit, of which two are used.
    for key in [&one, &two, &one] {
        success(with_key(&server, key).await, 200).await;
    }
    let last = ada.get("/api/v1/tasks").await;
    assert_eq!(told(last.headers(), "ratelimit-policy"), "\"calls\";q=6;w=60");
    assert_eq!(told(last.headers(), "ratelimit"), "\"calls\";r=0;t=60");
    success(last, 200).await;
    for key in [&one, &two, &ada.token] {
        let answer = server.request(Method::GET, "/api/v1/tasks").bearer_auth(key).send().await.unwrap();
        assert_eq!(told(answer.headers(), "retry-after"), "10");
        failure(answer, 429, "rate_limited").await;
    }
    success(server.user("eve").await.get("/api/v1/tasks").await, 200).await;
    clock.advance(Duration::from_secs(10));
    success(with_key(&server, &two).await, 200).await;
    clock.advance(Duration::from_secs(60));
    let listed = success(ada.get("/api/v1/auth/api-keys").await, 200).await;
    let limits: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|key| &key["requests_per_minute"]).collect();
    assert_eq!(limits, [&json!(2), &json!(null), &json!(null)]);
    for limit in [json!(0), json!(-1), json!(1.5), json!("2"), json!(4_294_967_296_u64)] {
        let new = json!({ "name": "a", "scopes": ["tasks:read"], "requests_per_minute": limit });
        names(ada.post("/api/v1/auth/api-keys", &new).await, 422, "invalid_input", "requests_per_minute")
            .await;
    }
}

#[tokio::test]
async fn unknown_credentials_are_limited_to_five_per_minute() {
    let (server, clock) = limited(5, 1_000, "127.0.0.0/8").await;
    let ada = server.user("ada").await;
    let (known, fresh) = (new_key(&ada, None).await, new_key(&ada, None).await);
    success(with_key(&server, &known).await, 200).await;
    let ask = async |from: &str, credential: &str| {
        let request = server.request(Method::GET, "/api/v1/tasks").header("x-forwarded-for", from.to_owned());
        request.bearer_auth(credential).send().await.unwrap()
    };
    let (header, rest) = ada.token.split_once('.').unwrap();
    let forged = format!("{header}.{}", rest.replace(&rest[..4], "AAAA"));
    let unknown = format!("sutz_{}", "0".repeat(64));
    let failed_auth = [&unknown, &forged, &"sutz_".to_owned(), &"nonsense".to_owned(), &unknown];
    for (remaining, credential) in (0..5).rev().zip(failed_auth) {
        let answer = ask("198.51.100.1", credential).await;
        assert_eq!(told(answer.headers(), "ratelimit-policy"), "\"failed-auth\";q=5;w=60");
        assert!(told(answer.headers(), "ratelimit").starts_with(&format!("\"failed-auth\";r={remaining}")));
        failure(answer, 401, "unauthenticated").await;
    }
    for credential in [&unknown, &forged, &fresh] {
        let answer = ask("198.51.100.1", credential).await;
        assert_eq!(told(answer.headers(), "retry-after"), "12");
        failure(answer, 429, "rate_limited").await;
    }
    // The limit also applies to the OpenAI-compatible API.
    let request = server.request(Method::GET, "/v1/models").header("x-forwarded-for", "198.51.100.1");
    let answer = request.bearer_auth(&unknown).send().await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["error"]["type"], "rate_limit_error");
    // Known credentials from this address, all other addresses, and sign-in attempts are not affected.
    for good in [&known, &ada.token] {
        success(ask("198.51.100.1", good).await, 200).await;
    }
    success(ask("198.51.100.2", &fresh).await, 200).await;
    failure(ask("198.51.100.2", &unknown).await, 401, "unauthenticated").await;
    assert_eq!(login(&server, ("x-forwarded-for", "198.51.100.1")).await.status(), 401);
    clock.advance(Duration::from_secs(12));
    failure(ask("198.51.100.1", &unknown).await, 401, "unauthenticated").await;
    failure(ask("198.51.100.1", &unknown).await, 429, "rate_limited").await;
}

#[tokio::test]
async fn expired_tokens_do_not_count_as_failed_authentication() {
    let (server, clock) = limited(5, 1_000, "").await;
    let ada = server.user("ada").await;
    clock.advance(Duration::from_secs(31 * 60));
    for _ in 0..20 {
        failure(ada.get("/api/v1/tasks").await, 401, "unauthenticated").await;
    }
    let refresh = json!({ "refresh_token": ada.signed_in["refresh_token"] });
    let request = server.request(Method::POST, "/api/v1/auth/refresh").json(&refresh);
    success(request.send().await.unwrap(), 200).await;
}

#[tokio::test]
async fn successful_refreshes_do_not_count_as_sign_in_attempts() {
    let (server, clock) = limited(5, 20, "").await;
    let ada = server.user("ada").await;
    let refresh = async |token: &str| {
        let body = json!({ "refresh_token": token });
        server.request(Method::POST, "/api/v1/auth/refresh").json(&body).send().await.unwrap()
    };
    let mut token = ada.signed_in["refresh_token"].as_str().unwrap().to_owned();
    // Sign-in is exhausted for this address, but sessions can still be refreshed.
    while login(&server, ("x-a", "b")).await.status() != 429 {}
    for _ in 0..12 {
        let answer = refresh(&token).await;
        assert_eq!(told(answer.headers(), "ratelimit-policy"), "\"calls\";q=20;w=60");
        token = success(answer, 200).await["refresh_token"].as_str().unwrap().to_owned();
    }
    failure(refresh("nonsense").await, 429, "rate_limited").await;
    success(refresh(&token).await, 200).await;
    clock.advance(Duration::from_secs(12));
    let answer = refresh("nonsense").await;
    assert_eq!(told(answer.headers(), "ratelimit-policy"), "\"sign-in\";q=5;w=60");
    failure(answer, 401, "unauthenticated").await;
    assert_eq!(login(&server, ("x-a", "b")).await.status(), 429, "the invalid token did not count");
    // Valid tokens are limited too, as calls.
    let mut refused = false;
    for _ in 0..30 {
        refused |= refresh(&token).await.status() == 429;
    }
    assert!(refused);
}

#[tokio::test]
async fn stolen_token_does_not_allow_password_guessing() {
    let (server, _) = limited(5, 60, "").await;
    let ada = server.user("ada").await; // the first of five
    let attempt = json!({ "current_password": "a wrong password", "new_password": "another good password" });
    for _ in 0..4 {
        failure(ada.post("/api/v1/auth/password", &attempt).await, 403, "forbidden").await;
    }
    failure(ada.post("/api/v1/auth/password", &attempt).await, 429, "rate_limited").await;
}

/// Rate limiter whose store is unavailable.
#[derive(Debug)]
struct OutOfReach;

#[async_trait]
impl RateLimiter for OutOfReach {
    fn quota(&self) -> Quota {
        Quota::per_minute(1)
    }

    async fn take(&self, _: &RateKey) -> Result<RateLimitDecision> {
        Err(Error::unavailable("the line is cut"))
    }
}

#[tokio::test]
async fn caller_is_served_while_the_limiter_fails() {
    let limits = RateLimits { sign_in: Arc::new(OutOfReach), calls: Arc::new(OutOfReach) };
    let protection = SecuritySettings { rate_limits: Some(limits), ..SecuritySettings::default() };
    let server = Server::start_exposed(protection, ServerConfig::default()).await;
    let ada = server.user("ada").await;
    for _ in 0..3 {
        success(ada.get("/api/v1/tasks").await, 200).await;
    }
}
