//! How long it took until somebody else had a task whose worker was killed: from the kill to the next claim.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::cluster::Cluster;
use crate::report::Tally;

/// Attempts that ended because their lease did: task, attempt, when it was claimed, when somebody claimed the task again.
const LOST: &str = "\
    SELECT lost.task_id, lost.kind->>'attempt', to_json(claimed.at)#>>'{}', to_json(again.at)#>>'{}'
    FROM task_events lost
    JOIN task_events claimed ON claimed.task_id = lost.task_id AND claimed.kind->>'status' = 'processing'
        AND claimed.kind->>'attempt' = lost.kind->>'attempt'
    JOIN task_events again ON again.task_id = lost.task_id AND again.kind->>'status' = 'processing'
        AND (again.kind->>'attempt')::int = (lost.kind->>'attempt')::int + 1
    WHERE lost.kind->'error'->>'message' = 'the worker''s lease ran out'";

/// Adds what was found to the figures of the run.
pub(crate) fn figures(cluster: &Cluster, tally: &Tally) {
    let traces = cluster.traces();
    let mut ran_at: HashMap<(&str, &str), &str> = HashMap::new();
    for line in traces.lines() {
        if let [task, attempt, node] = line.split(' ').collect::<Vec<_>>()[..] {
            ran_at.insert((task, attempt), node);
        }
    }
    let lost = cluster.postgres.ask(LOST).unwrap();
    let mut took: Vec<u64> = lost
        .iter()
        .filter_map(|line| {
            let [task, attempt, claimed, again] = line.split('\t').collect::<Vec<_>>()[..] else {
                return None;
            };
            let instant = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
            let killed =
                tally.kill_between(ran_at.get(&(task, attempt))?, instant(claimed), instant(again))?;
            Some((instant(again) - killed).num_milliseconds().unsigned_abs())
        })
        .collect();
    took.sort_unstable();
    tally.figure("attempts whose lease ran out", lost.len() as u64);
    tally.figure("of these by a kill at work", took.len() as u64);
    if let Some(longest) = took.last() {
        tally.figure("ms from the kill to the next claim, median", took[took.len() / 2]);
        tally.figure("ms from the kill to the next claim, longest", *longest);
    }
}
