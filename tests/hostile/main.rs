//! One account attacks the server as hard as it can, and another one must not notice.
//!
//! A test binary of its own: it measures response times, so no other test may use the processor meanwhile.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // a test that cannot go on says so by ending

mod attacker;
mod attacks;
mod neighbor;
#[path = "../suite/postgres_server.rs"]
#[allow(dead_code)] // shared with the suite, which uses all of it
mod postgres_server;
#[path = "../suite/support.rs"]
#[allow(dead_code)] // as above
mod support;

use std::time::Duration;

use attacker::Attacker;
use neighbor::Neighbor;
use postgres_server::Postgres;
use support::{Place, Server, model};

/// Duration of the attacks.
const ATTACK: Duration = Duration::from_secs(20);
/// Limit of the 99th percentile of the neighbor's response times: 500 ms in a release build (`cargo test
/// --release --test hostile`). A debug build takes many times longer to serve the attacker, so there it
/// detects only starvation.
const MAX_P99: Duration = Duration::from_millis(if cfg!(debug_assertions) { 5_000 } else { 500 });
/// Limit of the peak memory of the server, in bytes.
const MAX_MEMORY: u64 = 512 * 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn hostile_account_does_not_affect_its_neighbor() {
    let place = Place::new();
    println!("SQLite");
    withstand(&place, place.settings()).await;

    let (place, postgres) = (Place::new(), Postgres::start());
    let mut settings = place.settings();
    settings.retain(|(name, _)| name != "DATABASE_URL");
    settings.push(("DATABASE_URL".into(), postgres.url.clone()));
    let key = "9f2c51d07be84a63c0e1f7a8d3b6954420cd8e1fa7b35c6209d4e8f1b7a2c35d";
    settings.push(("JWT_SECRET_KEY".into(), key.into()));
    println!("PostgreSQL");
    withstand(&place, settings).await;
}

/// Attacks a server with these settings. Rate limits are at least a hundred times the defaults, so that all
/// other limits are tested.
async fn withstand(place: &Place, mut settings: Vec<(String, String)>) {
    let embedding = std::env::var("SUTAZAI_TEST_EMBEDDING_MODEL").unwrap_or_default();
    let mut models = format!("llama-cpp={}", model().display());
    if !embedding.is_empty() {
        models.push_str(&format!(",llama-cpp={embedding}"));
    }
    settings.push(("MODEL_BACKENDS".into(), models));
    settings.retain(|(name, _)| name != "ENABLE_RATE_LIMITING");
    settings.push(("RATE_LIMIT_PER_MINUTE".into(), "6000".into()));
    settings.push(("RATE_LIMIT_AUTH_PER_MINUTE".into(), "1200".into()));
    let mut server = Server::start(place, &settings);
    let neighbor = Neighbor::register(&server).await;
    let before = memory(&server, "VmHWM");

    let attacker = Attacker::register(&server).await;
    let attack = attacks::start(&attacker);
    attacker.until_all_attack().await;
    let waits = neighbor.live_for(ATTACK).await;
    attack.end();

    let most = memory(&server, "VmHWM");
    println!("{}", attacker.table());
    println!("{}", waits.table());
    println!("memory of the server: {} MB before, {} MB at most", before / 1_000_000, most / 1_000_000);
    attacker.assert_none_broke_the_server();
    waits.assert_within(MAX_P99);
    assert!(most < MAX_MEMORY, "{} MB", most / 1_000_000);
    neighbor.assert_served().await;
    server.signal("TERM");
    assert_eq!(server.ended_within(support::HANG_LIMIT), Some(0));
    assert!(!server.log().contains("panicked"));
}

/// Returns a value of `/proc/PID/status` in bytes.
fn memory(server: &Server, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let kilobytes: u64 = line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().unwrap();
    kilobytes * 1_024
}
