//! Fault injection, in two acts.
//!
//! In the first act, servers and workers are real processes over one PostgreSQL, one Redis and one RabbitMQ.
//! A driver submits tasks, reads them, receives their events and keeps a ledger of all that; meanwhile it
//! kills, stops, disconnects and restarts processes and sets clocks at random. In the second act, a server
//! over SQLite runs out of disk space. At the end of each act, ledger and database must agree.
//!
//! `cargo test --test faults` is the short run; `--help` after `--` lists the options. The same program is
//! the driver and, started again by it, each of the processes (`node.rs`).

// Real processes live in real time, the driver prints its progress, and a failed step ends the run.
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
mod injection;
mod ledger;
mod links;
mod node;
mod postgres;
mod process;
#[path = "../../sutazai-store/tests/postgres/proxy.rs"]
mod proxy;
mod reads;
mod receiver;
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

/// Injects faults while tasks are submitted and run, then compares what was acknowledged, read and received
/// with the database.
#[derive(Debug, Parser)]
struct Arguments {
    /// Duration of the fault injection in the first act, in seconds
    #[arg(long, default_value_t = 90)]
    seconds: u64,
    /// Number of tasks that are submitted meanwhile
    #[arg(long, default_value_t = 9_000)]
    tasks: u64,
    /// Number of kills, of workers only, while tasks of up to a second run; first act only
    #[arg(long, value_name = "TIMES")]
    kills: Option<u32>,
    /// Lease of tasks, in seconds: short, so that many leases expire in one run
    #[arg(long, default_value_t = 3)]
    lease_seconds: u64,
    /// Seed that decides which fault is injected when; random by default
    #[arg(long)]
    seed: Option<u64>,
    /// Run only one act
    #[arg(long)]
    act: Option<Act>,
    /// Part of the name of a test, as all test programs accept: this one is called "faults"
    filter: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Act {
    /// Servers and workers over PostgreSQL, Redis and RabbitMQ, with all kinds of faults
    Cluster,
    /// A server over SQLite, with a full disk
    SmallDisk,
}

fn main() -> ExitCode {
    let threads = tokio::runtime::Runtime::new().unwrap();
    match std::env::var(node::ROLE).as_deref() {
        Ok(small_disk::ROLE) => {
            return report_differences("the small disk", &threads.block_on(small_disk::act()));
        }
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
        let of_cluster = report_differences("the cluster", &threads.block_on(cluster(&arguments)));
        ended = if ended == ExitCode::SUCCESS { of_cluster } else { ended };
    }
    ended
}

/// Runs the act over PostgreSQL; returns all differences between ledger and database.
async fn cluster(arguments: &Arguments) -> Vec<String> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("the cluster: {} tasks in {} s, seed {seed}", arguments.tasks, arguments.seconds);
    let most_ms = if arguments.kills.is_some() { 1_000 } else { 40 };
    let run = Run::begin(Duration::from_secs(arguments.lease_seconds), most_ms).await;
    run.inject(arguments, seed).await
}

/// Prints how an act ended.
fn report_differences(act: &str, differences: &[String]) -> ExitCode {
    if differences.is_empty() {
        println!("{act}: ledger and database agree");
        return ExitCode::SUCCESS;
    }
    println!("{act}: {} differences between ledger and database:", differences.len());
    differences.iter().take(30).for_each(|difference| println!("  {difference}"));
    ExitCode::FAILURE
}
