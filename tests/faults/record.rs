//! Tasks as the database or the API returns them, and the invariants of every task.

use std::collections::HashMap;

use sutazai::domain::{TaskId, TaskStatus};

use crate::events::Event;
use crate::ledger::Entry;
use crate::node::Trace;

/// Number of runs of each attempt of a task.
pub(crate) type Runs = HashMap<u64, u64>;

/// A task that has ended.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: TaskId,
    pub(crate) parent: Option<TaskId>,
    pub(crate) key: Option<String>,
    pub(crate) status: TaskStatus,
    pub(crate) attempt: u64,
    /// Values in its payload and its result.
    pub(crate) n: u64,
    pub(crate) square: Option<u64>,
    pub(crate) children: Option<u64>,
    /// Events in the order of their sequence.
    pub(crate) events: Vec<Event>,
}

impl Record {
    /// Returns the difference to the expected state in the ledger, if there is one.
    pub(crate) fn differs(&self, entry: &Entry) -> Option<String> {
        let there = (self.status, self.square, self.children);
        (there != entry.end())
            .then(|| format!("task {} is {there:?} and should be {:?}", self.id, entry.end()))
    }

    /// Returns all violated invariants of a task that has ended.
    pub(crate) fn contradictions(&self, runs: Option<&Runs>) -> Vec<String> {
        let mut wrong = Vec::new();
        let sequences: Vec<u64> = self.events.iter().map(|event| event.sequence).collect();
        if !sequences.iter().copied().eq(1..=sequences.len() as u64) {
            wrong.push(format!("task {}: its events are {sequences:?}", self.id));
        }
        let ends: Vec<u64> =
            self.events.iter().filter(|event| event.has_ended()).map(|event| event.sequence).collect();
        if ends != [sequences.len() as u64] {
            wrong.push(format!("task {}: ends at {ends:?} of {} events", self.id, sequences.len()));
        }
        let claimed = self.events.iter().filter(|event| event.status == Some(TaskStatus::Processing));
        if !claimed.map(|event| event.attempt).eq(1..=self.attempt) {
            wrong.push(format!("task {}: not one claim for each of {} attempts", self.id, self.attempt));
        }
        // An attempt may end before its agent begins, but none runs twice, and the one that ended the task
        // did run.
        let ran = runs.map_or(0, HashMap::len) as u64;
        if !(1..=self.attempt).contains(&ran) {
            wrong.push(format!("task {}: {ran} attempts left a trace, of {}", self.id, self.attempt));
        }
        if runs.is_some_and(|runs| runs.iter().any(|(attempt, times)| *times > 1 || *attempt > self.attempt))
        {
            wrong.push(format!(
                "task {}: an attempt ran twice, or one that was not claimed: {runs:?}",
                self.id
            ));
        }
        wrong
    }
}

/// Counts the recorded runs of each attempt.
pub(crate) fn runs(traces: &[Trace]) -> HashMap<TaskId, Runs> {
    let mut runs: HashMap<TaskId, Runs> = HashMap::new();
    for trace in traces {
        *runs.entry(trace.task).or_default().entry(trace.attempt).or_default() += 1;
    }
    runs
}
