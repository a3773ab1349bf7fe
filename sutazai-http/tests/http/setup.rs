//! First run: the setup code creates one admin, once.

use std::sync::Arc;

use futures::FutureExt;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use sutazai_core::ErrorKind;
use sutazai_core::domain::NewUser;
use sutazai_core::engine::Engine;
use sutazai_core::identity::Client;
use sutazai_core::ports::Clock;
use sutazai_core::testing::ManualClock;
use sutazai_http::{App, RateLimits, SecuritySettings};

use crate::support::{PASSWORD, Server, failure, names, success};

const PATH: &str = "/api/v1/setup";

async fn state(server: &Server) -> Value {
    success(server.request(Method::GET, PATH).send().await.unwrap(), 200).await
}

fn admin(code: &str, name: &str) -> Value {
    json!({ "code": code, "username": name, "email": format!("{name}@example.org"), "password": PASSWORD })
}

async fn create(server: &Server, body: &Value) -> Response {
    server.request(Method::POST, PATH).json(body).send().await.unwrap()
}

async fn code(server: &Server) -> String {
    server.identity.begin_setup().await.unwrap().unwrap()
}

#[tokio::test]
async fn code_creates_the_first_admin_once() {
    let server = Server::start().await;
    let needed = json!({ "users": true, "needs_admin": true, "open_registration": true });
    assert_eq!(state(&server).await, needed);
    // A user who registers is no admin.
    server.user("eve").await;
    assert_eq!(state(&server).await, needed);
    let replaced = code(&server).await;
    let code = code(&server).await;
    assert!(
        code.len() == 26 && code.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b)),
        "{code}"
    );
    for wrong in ["", "x", &replaced, &code[..25], &format!("{code}a"), &code.to_uppercase()] {
        names(create(&server, &admin(wrong, "ada")).await, 403, "forbidden", "code").await;
    }
    // What is wrong with the user does not spend the code.
    let weak =
        json!({ "code": code, "username": "ada", "email": "ada@example.org", "password": "password1" });
    names(create(&server, &weak).await, 422, "invalid_input", "password").await;
    names(create(&server, &admin(&code, "eve")).await, 409, "conflict", "username").await;
    names(create(&server, &json!({ "code": code })).await, 422, "invalid_input", "username").await;

    let made = create(&server, &admin(&code, "ada")).await;
    assert!(!made.headers().contains_key("set-cookie"));
    let made = success(made, 201).await;
    assert_eq!((made["username"].as_str(), made["role"].as_str()), (Some("ada"), Some("admin")));
    assert_eq!(state(&server).await["needs_admin"], false);
    for again in [code.as_str(), "x"] {
        let error = failure(create(&server, &admin(again, "bob")).await, 409, "conflict").await;
        assert_eq!(error["details"], json!({}), "{error}");
    }
    assert_eq!(server.identity.begin_setup().await.unwrap(), None);
    let login = json!({ "login": "ada", "password": PASSWORD });
    let login = server.request(Method::POST, "/api/v1/auth/login").json(&login).send().await.unwrap();
    let token = success(login, 200).await["access_token"].as_str().unwrap().to_owned();
    let users = server.request(Method::GET, "/api/v1/admin/users").bearer_auth(token).send().await.unwrap();
    assert_eq!(success(users, 200).await["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn concurrent_calls_with_the_code_create_one_admin() {
    let server = Server::start().await;
    let code = code(&server).await;
    let bodies: Vec<Value> = (0..8).map(|n| admin(&code, &format!("admin_{n}"))).collect();
    let answers = futures::future::join_all(bodies.iter().map(|body| create(&server, body))).await;
    let created = answers.iter().filter(|answer| answer.status() == 201).count();
    let refused = answers.iter().filter(|answer| [403, 409].contains(&answer.status().as_u16())).count();
    assert_eq!((created, refused), (1, 7), "{answers:?}");
}

#[tokio::test]
async fn no_code_is_valid_before_the_server_has_printed_one() {
    let server = Server::start().await;
    for guess in ["", "aaaaaaaaaaaaaaaaaaaaaaaaaa"] {
        names(create(&server, &admin(guess, "ada")).await, 403, "forbidden", "code").await;
    }
    assert_eq!(state(&server).await["needs_admin"], true);
}

#[tokio::test]
async fn guesses_are_limited_by_address_and_over_all_addresses() {
    let clock = Arc::new(ManualClock::new());
    let shared: Arc<dyn Clock> = clock.clone();
    let protection = SecuritySettings {
        rate_limits: Some(RateLimits::per_minute(5, 60, &shared)),
        trusted_proxies: "127.0.0.1".parse().unwrap(),
        ..SecuritySettings::default()
    };
    let server = Server::start_exposed_at(clock, protection).await;
    code(&server).await;
    let guess = |address: u8| {
        let request =
            server.request(Method::POST, PATH).header("x-forwarded-for", format!("198.51.100.{address}"));
        request.json(&admin("wrong", "ada")).send()
    };
    for _ in 0..5 {
        names(guess(1).await.unwrap(), 403, "forbidden", "code").await;
    }
    failure(guess(1).await.unwrap(), 429, "rate_limited").await;
    // From ten failures on, one guess passes every 2 seconds, whatever its address: five wait, one more is refused.
    let wrong = |address: u8| {
        let client = Client { user_agent: None, address: Some([198, 51, 100, address].into()) };
        let new =
            NewUser { username: "ada".into(), email: "ada@example.org".into(), password: PASSWORD.into() };
        let identity = server.identity.clone();
        async move { identity.create_first_admin("wrong", new, client).await.unwrap_err() }.boxed()
    };
    for address in 2..8 {
        let refused = wrong(address).now_or_never().unwrap();
        assert_eq!((refused.kind(), refused.field()), (ErrorKind::Forbidden, Some("code")));
    }
    let mut waiting: Vec<_> = (10..15).map(wrong).collect();
    assert!(waiting.iter_mut().all(|guess| guess.now_or_never().is_none()));
    let refused = wrong(20).now_or_never().unwrap();
    assert!(refused.kind() == ErrorKind::RateLimited && refused.retry_after().is_some(), "{refused}");
}

#[tokio::test]
async fn server_without_users_needs_no_admin() {
    let server = Server::of_app(App::new(Engine::builder().build().unwrap())).await;
    let nothing = json!({ "users": false, "needs_admin": false, "open_registration": false });
    assert_eq!(state(&server).await, nothing);
    failure(create(&server, &admin("x", "ada")).await, 501, "unsupported").await;
}
