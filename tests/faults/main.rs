//! Pulls plugs, in two acts. In the first, servers and workers are real processes over one PostgreSQL, one Redis and one
//! RabbitMQ, and a driver submits tasks to them, reads them, hears of them, keeps a ledger of all that, and meanwhile kills,
//! stops, cuts off, restarts and sets clocks at random. In the second, a server over SQLite runs out of disk. At the end of
//! each, ledger and database must agree.
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
mod api;
mod broker;
mod cluster;
mod events;
mod heard;
mod ledger;
mod links;
mod node;
mod plugs;
mod postgres;
mod process;
#[path = "../../sutazai-store/tests/postgres/proxy.rs"]
mod proxy;
mod reads;
mod record;
mod redis;
mod report;
mod run;
mod small_disk;
mod takeover;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::run::Run;

/// Pulls plugs while tasks are submitted and done, then compares what was acknowledged, read and heard with what there is.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long plugs are pulled in the first act, in seconds
    #[arg(long, default_value_t = 90)]
    seconds: u64,
    /// How many tasks are submitted meanwhile
    #[arg(long, default_value_t = 9_000)]
    tasks: u64,
    /// Only kill workers, so many times, while tasks of up to a second run; the first act alone
    #[arg(long, value_name = "TIMES")]
    kills: Option<u32>,
    /// After how long a dead process's tasks are taken over: short, so that many leases run out in one run
    #[arg(long, default_value_t = 3)]
    lease_seconds: u64,
    /// What decides which plug is pulled when; drawn if not given
    #[arg(long)]
    seed: Option<u64>,
    /// One act alone
    #[arg(long)]
    act: Option<Act>,
    /// Part of the name of a test, as all test programs take one: this one is called "faults"
    filter: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Act {
    /// Servers and workers over PostgreSQL, Redis and RabbitMQ, and all kinds of plugs
    Cluster,
    /// A server over SQLite, and a disk that is full
    SmallDisk,
}

fn main() -> ExitCode {
    let threads = tokio::runtime::Runtime::new().unwrap();
    match std::env::var(node::ROLE).as_deref() {
        Ok(small_disk::ROLE) => return told("the small disk", &threads.block_on(small_disk::act())),
        Ok(role) => {
            threads.block_on(node::run(role));
            return ExitCode::SUCCESS;
        }
        Err(_) => {}
    }
    let arguments = Arguments::parse();
    if arguments.filter.as_ref().is_some_and(|filter| !"faults".contains(filter.as_str())) {
        return ExitCode::SUCCESS;
    }
    let only = arguments.act.or(arguments.kills.map(|_| Act::Cluster));
    let mut ended = ExitCode::SUCCESS;
    if only != Some(Act::Cluster) && !small_disk::play() {
        ended = ExitCode::FAILURE;
    }
    if only != Some(Act::SmallDisk) {
        let of_cluster = told("the cluster", &threads.block_on(cluster(&arguments)));
        ended = if ended == ExitCode::SUCCESS { of_cluster } else { ended };
    }
    ended
}

/// The act over PostgreSQL; everything in which ledger and database differ.
async fn cluster(arguments: &Arguments) -> Vec<String> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("the cluster: {} tasks in {} s, seed {seed}", arguments.tasks, arguments.seconds);
    let most_ms = if arguments.kills.is_some() { 1_000 } else { 40 };
    let run = Run::begin(Duration::from_secs(arguments.lease_seconds), most_ms).await;
    run.pull(arguments, seed).await
}

/// Says how an act ended.
fn told(act: &str, differences: &[String]) -> ExitCode {
    if differences.is_empty() {
        println!("{act}: ledger and database agree");
        return ExitCode::SUCCESS;
    }
    println!("{act}: ledger and database differ in {} things:", differences.len());
    differences.iter().take(30).for_each(|difference| println!("  {difference}"));
    ExitCode::FAILURE
}
