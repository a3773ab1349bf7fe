//! Hashing passwords uses a processor, but does not delay other requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use sutazai_core::identity::{Identity, IdentityConfig};
use sutazai_core::memory::{MemoryApiKeyStore, MemoryIdentityStore};
use sutazai_core::ports::{Clock, SystemClock};
use sutazai_http::auth::{Argon2PasswordHasher, JwtTokenSigner};

use crate::support::{PASSWORD, SECRET, Server};

const LOGINS: usize = 200;
/// Pause after a rejection, shorter than the server asks for, so that its queue is always full.
const REQUEST_PAUSE: Duration = Duration::from_millis(50);

/// Creates an identity with the default cost of a hash.
fn identity() -> Identity {
    Identity::new(
        Arc::new(MemoryIdentityStore::new()),
        Arc::new(MemoryApiKeyStore::new()),
        Arc::new(Argon2PasswordHasher::default()),
        Arc::new(JwtTokenSigner::new(SECRET).unwrap()),
        Arc::new(SystemClock),
        IdentityConfig::default(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_are_listed_while_200_people_sign_in() {
    let server = Server::start_over(identity()).await;
    let (ada, _) = (server.user("ada").await, server.user("eve").await);
    let body = json!({ "login": "eve", "password": PASSWORD });
    let login = async || loop {
        let answer = server.request(Method::POST, "/api/v1/auth/login").json(&body).send().await.unwrap();
        match answer.status().as_u16() {
            200 => break,
            503 => SystemClock.sleep(REQUEST_PAUSE).await,
            other => panic!("a sign-in was answered with {other}"),
        }
    };
    let (begun, done) = (Instant::now(), AtomicBool::new(false));
    let logins = async {
        join_all((0..LOGINS).map(|_| login())).await;
        done.store(true, Ordering::SeqCst);
        begun.elapsed()
    };
    let reads = async {
        let mut times = Vec::new();
        while !done.load(Ordering::SeqCst) {
            let asked = Instant::now();
            assert_eq!(ada.get("/api/v1/tasks").await.status(), 200);
            times.push(asked.elapsed());
        }
        times.sort();
        times
    };
    let (took, times) = tokio::join!(logins, reads);
    let [median, p95] = [50, 95].map(|share| times[times.len() * share / 100]);
    println!(
        "{LOGINS} sign-ins in {took:.2?}; GET /tasks {} times: median {median:?}, p95 {p95:?}",
        times.len()
    );
    // A request that waited in the queue of the password hashes would take as long as all sign-ins together.
    assert!(p95 * 10 < took, "p95 of GET /tasks while people sign in for {took:?}: {p95:?}");
}
