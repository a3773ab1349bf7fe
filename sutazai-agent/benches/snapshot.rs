//! Cost of one snapshot of the host compared with psutil collecting the same data.
//!
//! Both run alternately, so that other load on the machine affects both. The first rounds are warm-up: ours opens its
//! files, psutil fills its caches. `benches/snapshot.sh` runs it with the Python that has psutil.

#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use sutazai_agent::metrics::{CgroupMetricSource, PressureMetricSource, SystemMetricSource};
use sutazai_core::adapter::collect_snapshot;
use sutazai_core::ports::{MetricSource, SystemClock};

const ROUNDS: usize = 300;
const WARM_UP_ROUNDS: usize = 5;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let python = std::env::var("SUTAZAI_TEST_PYTHON").map_err(|_| "run benches/snapshot.sh")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/psutil_snapshot.py");
    let mut psutil = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let measured = measure_alternately(&mut psutil).await;
    psutil.kill()?;
    psutil.wait()?;
    let [host, snapshot, theirs] = measured?.map(median);
    println!("Median of {ROUNDS} snapshots of this machine, in turns:");
    println!("{:<44}{:>10.3} ms", "host section", host * 1e3);
    println!("{:<44}{:>10.3} ms", "whole snapshot (host, pressure, cgroup)", snapshot * 1e3);
    println!("{:<44}{:>10.3} ms", "psutil, what the host section holds", theirs * 1e3);
    println!("{:<44}{:>10.1}", "psutil / whole snapshot", theirs / snapshot);
    Ok(())
}

/// Returns the seconds of each host section, whole snapshot and psutil round.
async fn measure_alternately(psutil: &mut Child) -> Result<[Vec<f64>; 3], Box<dyn Error>> {
    let mut questions = psutil.stdin.take().ok_or("psutil cannot be asked")?;
    let mut answers = BufReader::new(psutil.stdout.take().ok_or("psutil cannot answer")?);
    let host: Vec<Arc<dyn MetricSource>> = vec![Arc::new(SystemMetricSource::new())];
    let whole: Vec<Arc<dyn MetricSource>> = vec![
        Arc::new(SystemMetricSource::new()),
        Arc::new(PressureMetricSource::new()),
        Arc::new(CgroupMetricSource::new()),
    ];
    let mut seconds = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS + WARM_UP_ROUNDS {
        for (sources, seconds) in [&host, &whole].into_iter().zip(&mut seconds) {
            let began = Instant::now();
            let snapshot = collect_snapshot(sources, &SystemClock).await;
            seconds.push(began.elapsed().as_secs_f64());
            snapshot.host.value().ok_or("the host was not measured")?;
        }
        writeln!(questions)?;
        let mut answer = String::new();
        answers.read_line(&mut answer)?;
        seconds[2].push(answer.trim().parse()?);
    }
    Ok(seconds.map(|mut all| all.split_off(WARM_UP_ROUNDS)))
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
