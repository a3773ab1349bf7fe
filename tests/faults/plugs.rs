//! Which plug is pulled when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::cluster::Cluster;
use crate::proxy::Network;
use crate::report::Tally;

#[derive(Debug, Clone, Copy)]
enum Plug {
    /// `kill -9`, and a start after a while.
    Kill,
    /// SIGSTOP for longer than a lease, then SIGCONT.
    Stop,
    /// SIGTERM, and a start.
    End,
    /// Its connections to the database are cut or go silent, or what the database answers is lost.
    Database(Network),
    /// Its callers cannot reach it, or get no answer.
    Callers(Network),
    /// Its clock is set.
    Clock(i64),
    /// The database server crashes and comes back.
    Crash,
}

/// Pulls one after the other, several at once, until the time is over; then puts all in again.
pub(crate) async fn pull(cluster: Arc<Cluster>, tally: Arc<Tally>, seed: u64, limit: Duration) {
    let mut random = StdRng::seed_from_u64(seed);
    let begun = Instant::now();
    // First everything comes up.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut pulled = Vec::new();
    while begun.elapsed() < limit {
        let node = random.random_range(0..cluster.nodes.len());
        let plug = match random.random_range(0..20) {
            0..=5 => Plug::Kill,
            6..=8 => Plug::Stop,
            9 => Plug::End,
            10..=11 => Plug::Database(Network::Cut),
            12 => Plug::Database(Network::Silent),
            13 => Plug::Database(Network::DeafToCommit),
            14 => Plug::Callers(Network::Cut),
            15 => Plug::Callers(Network::Silent),
            16..=18 => Plug::Clock([-600, -20, 20, 600][random.random_range(0..4)]),
            _ => Plug::Crash,
        };
        let out = Duration::from_millis(random.random_range(200..6_000));
        pulled.push(tokio::spawn(one(cluster.clone(), tally.clone(), node, plug, out)));
        tokio::time::sleep(Duration::from_millis(random.random_range(300..2_500))).await;
    }
    for one in pulled {
        one.await.expect("a plug could not be pulled");
    }
    cluster.heal().await;
}

/// Kills workers, so many times in the given time, each started again at once.
pub(crate) async fn kill(cluster: Arc<Cluster>, tally: Arc<Tally>, seed: u64, times: u32, limit: Duration) {
    let mut random = StdRng::seed_from_u64(seed);
    let begun = Instant::now();
    for time in 1..=times {
        tokio::time::sleep((limit * time / times).saturating_sub(begun.elapsed())).await;
        let node = loop {
            let node = random.random_range(0..cluster.nodes.len());
            if !cluster.nodes[node].lock().await.is_server() {
                break node;
            }
        };
        one(cluster.clone(), tally.clone(), node, Plug::Kill, Duration::ZERO).await;
    }
}

/// Pulls one plug for a while. Of one node no two are pulled at once.
async fn one(cluster: Arc<Cluster>, tally: Arc<Tally>, node: usize, plug: Plug, out: Duration) {
    if let Plug::Crash = plug {
        tally.pulled("crash of the database server");
        let crashing = cluster.clone();
        tokio::task::spawn_blocking(move || crashing.postgres.crash()).await.unwrap();
        return;
    }
    let mut node = cluster.nodes[node].lock().await;
    // A node ends by itself only when it is told to.
    if let Some(status) = node.ended() {
        panic!("{} ended by itself: {status}; {}", node.name, last_lines(&node.log()));
    }
    let kind = if node.is_server() { "server" } else { "worker" };
    match plug {
        Plug::Kill => {
            tally.pulled(&format!("kill -9 of a {kind}"));
            node.kill();
            tally.killed(&node.name);
            tokio::time::sleep(out / 3).await;
            node.start();
        }
        Plug::Stop => {
            tally.pulled(&format!("SIGSTOP of a {kind} for longer than a lease"));
            node.signal("STOP");
            tokio::time::sleep(cluster.lease + out / 2).await;
            node.signal("CONT");
        }
        Plug::End => {
            tally.pulled(&format!("SIGTERM of a {kind}"));
            if node.end(Duration::from_secs(30)).await.is_none() {
                panic!("{} did not end when asked to; {}", node.name, last_lines(&node.log()));
            }
            node.start();
        }
        Plug::Database(network) => {
            let how = match network {
                Network::Cut => "cut",
                Network::Silent => "silence",
                _ => "answers to commits lost",
            };
            tally.pulled(&format!("{how} between a {kind} and the database"));
            node.database.set(network);
            tokio::time::sleep(out * 2).await;
            node.database.set(Network::Whole);
        }
        Plug::Callers(network) => {
            let Some(callers) = &node.callers else { return };
            tally.pulled(if network == Network::Silent {
                "silence before a server"
            } else {
                "cut before a server"
            });
            callers.set(network);
            tokio::time::sleep(out).await;
            callers.set(Network::Whole);
        }
        Plug::Clock(seconds) => {
            tally.pulled(&format!("clock of a {kind} set by {seconds:+} s"));
            node.set_clock(seconds);
            tokio::time::sleep(out).await;
            node.set_clock(0);
        }
        Plug::Crash => {}
    }
}

/// The end of a log, to tell why.
fn last_lines(log: &std::path::Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
