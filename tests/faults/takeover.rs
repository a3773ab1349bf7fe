//! Takeover latency: the time from the kill of a worker to the next claim of its task.

use std::collections::HashMap;

use sutazai::domain::{TaskId, TaskStatus};

use crate::events::Event;
use crate::node::Trace;
use crate::report::Tally;

/// Adds the takeover latencies to the figures of the run.
pub(crate) fn figures(events: &HashMap<TaskId, Vec<Event>>, traces: &[Trace], tally: &Tally) {
    let ran_at: HashMap<(TaskId, u64), &str> =
        traces.iter().map(|trace| ((trace.task, trace.attempt), &*trace.node)).collect();
    let (mut lost, mut took) = (0, Vec::new());
    for (task, events) in events {
        let claim = |attempt| {
            let claimed = Some(TaskStatus::Processing);
            events.iter().find(|event| event.status == claimed && event.attempt == attempt)
        };
        for attempt in events.iter().filter(|event| event.lease_lost).map(|event| event.attempt) {
            let (Some(claimed), Some(again)) = (claim(attempt), claim(attempt + 1)) else { continue };
            lost += 1;
            let killed =
                ran_at.get(&(*task, attempt)).and_then(|node| tally.kill_between(node, claimed.at, again.at));
            took.extend(killed.map(|killed| (again.at - killed).num_milliseconds().unsigned_abs()));
        }
    }
    took.sort_unstable();
    tally.figure("attempts whose lease expired", lost);
    tally.figure("of these by a kill during the attempt", took.len() as u64);
    if let Some(longest) = took.last() {
        tally.figure("ms from the kill to the next claim, median", took[took.len() / 2]);
        tally.figure("ms from the kill to the next claim, longest", *longest);
    }
}
