//! Pulls plugs: servers and workers as real processes over one PostgreSQL, and a driver that submits tasks to them,
//! keeps a ledger of what was acknowledged, and meanwhile kills, stops, cuts off, restarts and sets clocks at random.
//! At the end the ledger and the database must agree.
//!
//! `cargo test --test faults` is the short run; `--help` after `--` says how to make it another one. The same program is
//! the driver and, started again by it, each of the processes (`node.rs`).

// Real processes live in real time, a driver says how far it is, and one that cannot go on says so by ending.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used
)]

mod agreement;
mod cluster;
mod ledger;
mod node;
mod plugs;
mod postgres;
mod process;
#[path = "../../sutazai-store/tests/postgres/proxy.rs"]
mod proxy;
mod report;
mod takeover;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::cluster::Cluster;
use crate::ledger::Ledger;
use crate::report::Tally;

/// Pulls plugs while tasks are submitted and done, then compares what was acknowledged with what there is.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long plugs are pulled, in seconds
    #[arg(long, default_value_t = 90)]
    seconds: u64,
    /// How many tasks are submitted meanwhile
    #[arg(long, default_value_t = 9_000)]
    tasks: u64,
    /// Only kill workers, so many times, while tasks of up to a second run
    #[arg(long, value_name = "TIMES")]
    kills: Option<u32>,
    /// After how long a dead process's tasks are taken over: short, so that many leases run out in one run
    #[arg(long, default_value_t = 3)]
    lease_seconds: u64,
    /// What decides which plug is pulled when; drawn if not given
    #[arg(long)]
    seed: Option<u64>,
    /// Part of the name of a test, as all test programs take one: this one is called "faults"
    filter: Option<String>,
}

fn main() -> ExitCode {
    let threads = tokio::runtime::Runtime::new().unwrap();
    if let Ok(role) = std::env::var(node::ROLE) {
        threads.block_on(node::run(&role));
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    if arguments.filter.as_ref().is_some_and(|filter| !"faults".contains(filter.as_str())) {
        return ExitCode::SUCCESS;
    }
    let differences = threads.block_on(drive(&arguments));
    if differences.is_empty() {
        println!("ledger and database agree");
        return ExitCode::SUCCESS;
    }
    println!("ledger and database differ in {} things:", differences.len());
    differences.iter().take(30).for_each(|difference| println!("  {difference}"));
    ExitCode::FAILURE
}

/// One run; gives the differences between ledger and database.
async fn drive(arguments: &Arguments) -> Vec<String> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("faults: {} tasks in {} s, seed {seed}", arguments.tasks, arguments.seconds);
    let tally = Arc::new(Tally::default());
    let cluster = Arc::new(Cluster::start(Duration::from_secs(arguments.lease_seconds)).await);
    let ledger =
        Arc::new(Ledger::new(cluster.addresses(), if arguments.kills.is_some() { 1_000 } else { 40 }));
    ledger.sign_up().await;

    let limit = Duration::from_secs(arguments.seconds);
    let begun = Instant::now();
    let submitting = tokio::spawn(ledger.clone().submit(arguments.tasks, limit));
    let pulling = match arguments.kills {
        Some(times) => tokio::spawn(plugs::kill(cluster.clone(), tally.clone(), seed, times, limit)),
        None => tokio::spawn(plugs::pull(cluster.clone(), tally.clone(), seed, limit)),
    };
    let watching = tokio::spawn(report::watch(ledger.clone(), cluster.clone(), tally.clone(), begun));
    pulling.await.expect("the one who pulls plugs failed");
    println!("all plugs are in again after {:.0} s", begun.elapsed().as_secs_f64());
    submitting.await.expect("a submitter failed");
    let healed = Instant::now();
    let settled = cluster.settled(Duration::from_secs(240)).await;
    watching.abort();
    println!("all tasks had ended {:.1} s later: {settled}", healed.elapsed().as_secs_f64());
    cluster.stop().await;

    let mut differences = agreement::differences(&ledger, &cluster, &tally);
    if !settled {
        differences.insert(0, "some tasks had not ended in time".into());
    }
    takeover::figures(&cluster, &tally);
    tally.print();
    differences
}
