//! Schedule of fault injection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::cluster::{Cluster, last_lines};
use crate::links::Link;
use crate::proxy::Network;
use crate::report::Tally;

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// Kills the process, and starts it after a while.
    Kill,
    /// Stops the process with SIGSTOP for longer than a lease, then continues it.
    Stop,
    /// Terminates the process with SIGTERM, and starts it again.
    End,
    /// Breaks the connection over this link.
    Link(Link, Network),
    /// Sets its clock by this many seconds.
    Clock(i64),
    /// Crashes the database server, and starts it again.
    Postgres,
    /// Kills Redis, and starts it after a while.
    Redis,
    /// Kills RabbitMQ, and starts it after a while.
    Broker,
}

/// All faults, and how often each occurs in one round, in random order.
const FAULTS: [(Fault, usize); 20] = [
    (Fault::Kill, 6),
    (Fault::Stop, 3),
    (Fault::End, 1),
    (Fault::Link(Link::Database, Network::Cut), 2),
    (Fault::Link(Link::Database, Network::Silent), 1),
    (Fault::Link(Link::Database, Network::DeafToCommit), 1),
    (Fault::Link(Link::Callers, Network::Cut), 1),
    (Fault::Link(Link::Callers, Network::Silent), 1),
    (Fault::Link(Link::Redis, Network::Cut), 1),
    (Fault::Link(Link::Redis, Network::Silent), 1),
    (Fault::Link(Link::Broker, Network::Cut), 1),
    (Fault::Link(Link::Broker, Network::Silent), 1),
    (Fault::Link(Link::Broker, Network::Deaf), 1),
    (Fault::Clock(-600), 1),
    (Fault::Clock(-20), 1),
    (Fault::Clock(20), 1),
    (Fault::Clock(600), 1),
    (Fault::Postgres, 1),
    (Fault::Redis, 1),
    (Fault::Broker, 1),
];

/// Injects faults, several at a time, until the time is over; then removes them all.
pub(crate) async fn inject(cluster: Arc<Cluster>, tally: Arc<Tally>, seed: u64, limit: Duration) {
    let mut random = StdRng::seed_from_u64(seed);
    let begun = Instant::now();
    // Gives all processes time to start.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (mut left, mut injected) = (Vec::new(), Vec::new());
    while begun.elapsed() < limit {
        if left.is_empty() {
            left.extend(FAULTS.iter().flat_map(|(fault, times)| std::iter::repeat_n(*fault, *times)));
            left.shuffle(&mut random);
        }
        let Some(fault) = left.pop() else { return };
        let node = random.random_range(0..cluster.nodes.len());
        let out = Duration::from_millis(random.random_range(200..6_000));
        injected.push(tokio::spawn(one(cluster.clone(), tally.clone(), node, fault, out)));
        tokio::time::sleep(Duration::from_millis(random.random_range(300..2_500))).await;
    }
    for one in injected {
        one.await.expect("injecting a fault must not fail");
    }
    cluster.heal().await;
}

/// Kills workers `times` times, evenly spread over `limit`, and starts each again at once.
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
        one(cluster.clone(), tally.clone(), node, Fault::Kill, Duration::ZERO).await;
    }
}

/// Injects one fault for the duration `out`.
async fn one(cluster: Arc<Cluster>, tally: Arc<Tally>, node: usize, fault: Fault, out: Duration) {
    match fault {
        Fault::Postgres | Fault::Redis | Fault::Broker => {
            let of_service = tokio::task::spawn_blocking(move || service(&cluster, &tally, fault, out));
            of_service.await.expect("a restarted service must become reachable");
        }
        _ => of_node(&cluster, &tally, node, fault, out).await,
    }
}

fn service(cluster: &Cluster, tally: &Tally, fault: Fault, out: Duration) {
    match fault {
        Fault::Postgres => {
            tally.count_fault("crash of the database server");
            cluster.postgres.crash();
        }
        Fault::Redis => {
            tally.count_fault("kill -9 of Redis");
            cluster.restart_redis(out);
        }
        _ => {
            tally.count_fault("kill -9 of RabbitMQ");
            cluster.restart_broker(out);
        }
    }
}

/// Injects a fault into one node; a lock prevents two at the same time.
async fn of_node(cluster: &Cluster, tally: &Tally, node: usize, fault: Fault, out: Duration) {
    let mut node = cluster.nodes[node].lock().await;
    // A node must not end without being told to.
    if let Some(status) = node.process.ended() {
        let log = last_lines(&node.process.log());
        panic!("{} ended by itself: {status}; {log}", node.process.name);
    }
    let kind = if node.is_server() { "server" } else { "worker" };
    match fault {
        Fault::Kill => {
            tally.count_fault(&format!("kill -9 of a {kind}"));
            node.process.kill();
            tally.killed(&node.process.name);
            tokio::time::sleep(out / 3).await;
            node.process.start();
        }
        Fault::Stop => {
            tally.count_fault(&format!("SIGSTOP of a {kind} for longer than a lease"));
            node.process.signal("STOP");
            tokio::time::sleep(cluster.lease + out / 2).await;
            node.process.signal("CONT");
        }
        Fault::End => {
            tally.count_fault(&format!("SIGTERM of a {kind}"));
            if node.process.end(Duration::from_secs(30)).await.is_none() {
                let log = last_lines(&node.process.log());
                panic!("{} did not end after SIGTERM; {log}", node.process.name);
            }
            node.process.start();
        }
        Fault::Link(Link::Callers, _) if !node.is_server() => {}
        Fault::Link(link, network) => {
            let how = match network {
                Network::Cut => "cut",
                Network::Silent => "silence",
                Network::DeafToCommit => "answers to commits lost",
                Network::Whole | Network::Deaf => "answers lost",
            };
            tally.count_fault(&format!("{how} between a {kind} and {}", link.name()));
            node.links.set(link, network);
            // At times longer than the timeouts of the node; callers use the other server meanwhile.
            tokio::time::sleep(if link == Link::Callers { out } else { out * 2 }).await;
            node.links.set(link, Network::Whole);
        }
        Fault::Clock(seconds) => {
            tally.count_fault(&format!("clock of a {kind} set by {seconds:+} s"));
            node.process.set_clock(seconds);
            tokio::time::sleep(out).await;
            node.process.set_clock(0);
        }
        Fault::Postgres | Fault::Redis | Fault::Broker => {}
    }
}
