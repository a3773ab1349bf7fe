//! How long an answer takes does not tell who has an account.

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
/// On a machine with other work a few tries may hit a bad moment: more of them then tell what is chance.
const ROUNDS: usize = 4;

/// Failures of one account that slow nothing down.
const TRIES_AT_ONE: usize = 10;

/// At the default cost of a hash.
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

/// The mean without the fastest and the slowest fifth, in seconds.
fn trimmed_mean(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort();
    let middle = &times[times.len() / 5..times.len() - times.len() / 5];
    middle.iter().map(Duration::as_secs_f64).sum::<f64>() / middle.len() as f64
}

/// Asks both in turn, so that whatever else the machine does meets both alike.
async fn take_the_same_time(
    server: &Server,
    path: &str,
    known: (u16, impl Fn(usize) -> Value),
    unknown: (u16, impl Fn(usize) -> Value),
) {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
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
async fn signing_in() {
    let server = server().await;
    // Few tries at each: more failures of one account slow it down, whether there is one or not.
    for user in 0..TRIES * ROUNDS / TRIES_AT_ONE {
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
async fn registering() {
    let server = server().await;
    server.user("ada").await;
    let with = |name: &str, mail: String| json!({ "username": name, "email": mail, "password": PASSWORD });
    let taken = |n: usize| with("ada", format!("other_{n}@example.org"));
    let free = |n: usize| with(&format!("new_{n}"), format!("new_{n}@example.org"));
    take_the_same_time(&server, "register", (409, taken), (201, free)).await;
}
