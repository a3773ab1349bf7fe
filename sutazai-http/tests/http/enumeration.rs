//! The duration of a response does not reveal who has an account.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use sutazai_core::identity::{Identity, IdentityConfig};
use sutazai_core::memory::{MemoryApiKeyStore, MemoryIdentityStore};
use sutazai_core::ports::SystemClock;
use sutazai_http::auth::{Argon2PasswordHasher, JwtTokenSigner};

use crate::support::{PASSWORD, SECRET, Server};

const TRIES: usize = 50;
/// Rounds of a measurement. On a busy machine a few tries may be slow; more rounds distinguish chance from a leak.
const MAX_ROUNDS: usize = 4;

/// Failures of one account that cause no delay yet.
const TRIES_AT_ONE: usize = 10;

/// Server whose password hashes have the default cost.
async fn server() -> Server {
    let identity = Identity::new(
        Arc::new(MemoryIdentityStore::new()),
        Arc::new(MemoryApiKeyStore::new()),
        Arc::new(Argon2PasswordHasher::default()),
        Arc::new(JwtTokenSigner::new(SECRET).unwrap()),
        Arc::new(SystemClock),
        IdentityConfig::default(),
    );
    Server::start_over(identity).await
}

async fn timed(server: &Server, path: &str, body: &Value, status: u16) -> Duration {
    let request = server.request(Method::POST, &format!("/api/v1/auth/{path}")).json(body);
    let begun = Instant::now();
    let answer = request.send().await.unwrap();
    let took = begun.elapsed();
    assert_eq!(answer.status(), status);
    took
}

/// Mean in seconds, without the fastest and the slowest fifth.
fn trimmed_mean(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort();
    let middle = &times[times.len() / 5..times.len() - times.len() / 5];
    middle.iter().map(Duration::as_secs_f64).sum::<f64>() / middle.len() as f64
}

/// Asserts that both kinds of request take the same time. They alternate, so that other load on the machine affects
/// both alike.
async fn take_the_same_time(
    server: &Server,
    path: &str,
    known: (u16, impl Fn(usize) -> Value),
    unknown: (u16, impl Fn(usize) -> Value),
) {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..MAX_ROUNDS {
        for number in round * TRIES..(round + 1) * TRIES {
            for first in [number % 2 == 0, number % 2 != 0] {
                if first {
                    with.push(timed(server, path, &known.1(number), known.0).await);
                } else {
                    without.push(timed(server, path, &unknown.1(number), unknown.0).await);
                }
            }
        }
        if (trimmed_mean(&with) / trimmed_mean(&without) - 1.0).abs() < 0.1 {
            return;
        }
    }
    let [with, without] = [with, without].map(|times| trimmed_mean(&times) * 1e3);
    panic!("{path} tells who has an account: {with:.2} ms where there is one, {without:.2} ms where not");
}

#[tokio::test]
async fn sign_in_time_does_not_reveal_users() {
    let server = server().await;
    // Few tries per account, because more failures delay it, whether it exists or not.
    for user in 0..TRIES * MAX_ROUNDS / TRIES_AT_ONE {
        server.user(&format!("somebody_{user}")).await;
    }
    let try_as = |name: String| json!({ "login": name, "password": "a wrong password" });
    take_the_same_time(
        &server,
        "login",
        (401, |n| try_as(format!("somebody_{}", n / TRIES_AT_ONE))),
        (401, |n| try_as(format!("nobody_{}", n / TRIES_AT_ONE))),
    )
    .await;
}

#[tokio::test]
async fn registration_time_does_not_reveal_users() {
    let server = server().await;
    server.user("ada").await;
    let with = |name: &str, mail: String| json!({ "username": name, "email": mail, "password": PASSWORD });
    let taken = |n: usize| with("ada", format!("other_{n}@example.org"));
    let free = |n: usize| with(&format!("new_{n}"), format!("new_{n}@example.org"));
    take_the_same_time(&server, "register", (409, taken), (201, free)).await;
}
