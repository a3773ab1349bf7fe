//! Output of a run: its progress, and its figures at the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::run::Run;

/// Counters of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    faults: Mutex<BTreeMap<String, u64>>,
    /// Times at which nodes were killed.
    kills: Mutex<Vec<(String, DateTime<Utc>)>>,
    figures: Mutex<Vec<(&'static str, u64)>>,
}

impl Tally {
    /// Counts one injected fault of this kind.
    pub(crate) fn count_fault(&self, fault: &str) {
        *self.faults.lock().unwrap().entry(fault.to_owned()).or_default() += 1;
    }

    /// Records that this node was killed now.
    pub(crate) fn killed(&self, node: &str) {
        self.kills.lock().unwrap().push((node.to_owned(), Utc::now()));
    }

    /// Returns when this node was killed within a period, if it was.
    pub(crate) fn kill_between(
        &self,
        node: &str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let kills = self.kills.lock().unwrap();
        kills.iter().find(|(name, at)| name == node && *at >= from && *at <= to).map(|(_, at)| *at)
    }

    /// Adds a figure to the final report.
    pub(crate) fn figure(&self, name: &'static str, value: u64) {
        self.figures.lock().unwrap().push((name, value));
    }

    /// Returns the number of injected faults.
    fn count(&self) -> u64 {
        self.faults.lock().unwrap().values().sum()
    }

    /// Prints all counters, one per line.
    pub(crate) fn print(&self) {
        println!("faults injected:");
        self.faults.lock().unwrap().iter().for_each(|(fault, count)| println!("{count:>8}  {fault}"));
        println!("record:");
        self.figures.lock().unwrap().iter().for_each(|(name, value)| println!("{value:>8}  {name}"));
    }
}

/// Prints the progress of the run every 10 s.
pub(crate) async fn watch(run: Arc<Run>, begun: Instant) {
    loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let open = run.cluster.open_tasks().map_or("?".into(), |open| open.to_string());
        println!(
            "{:>6.0} s  {} acknowledged, {} requests sent again, {open} open, {} read, {} events received, \
             {} faults injected",
            begun.elapsed().as_secs_f64(),
            run.ledger.count(),
            run.api.again(),
            run.reads.count(),
            run.receiver.events(),
            run.tally.count()
        );
    }
}
