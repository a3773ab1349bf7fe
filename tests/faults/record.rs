//! What there is of a task, however it was asked for, and what must hold of it by itself.

use std::collections::HashMap;

use sutazai::domain::{TaskId, TaskStatus};

use crate::events::Event;
use crate::ledger::Entry;
use crate::node::Trace;

/// How often each attempt of a task ran.
pub(crate) type Runs = HashMap<u64, u64>;

/// A task that has ended.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: TaskId,
    pub(crate) parent: Option<TaskId>,
    pub(crate) key: Option<String>,
    pub(crate) status: TaskStatus,
    pub(crate) attempt: u64,
    /// What its payload and its result say.
    pub(crate) n: u64,
    pub(crate) square: Option<u64>,
    pub(crate) children: Option<u64>,
    /// In order.
    pub(crate) events: Vec<Event>,
}

impl Record {
    /// What the ledger says otherwise.
    pub(crate) fn differs(&self, entry: &Entry) -> Option<String> {
        let there = (self.status, self.square, self.children);
        (there != entry.end())
            .then(|| format!("task {} is {there:?} and should be {:?}", self.id, entry.end()))
    }

    /// What cannot be of any task that has ended.
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
        // An attempt may end before the agent begins, but none runs twice, and the one that ended the task ran.
        let ran = runs.map_or(0, HashMap::len) as u64;
        if !(1..=self.attempt).contains(&ran) {
            wrong.push(format!("task {}: {ran} attempts left a trace, of {}", self.id, self.attempt));
        }
        if runs.is_some_and(|runs| runs.iter().any(|(attempt, times)| *times > 1 || *attempt > self.attempt))
        {
            wrong.push(format!(
                "task {}: an attempt ran twice, or one that nobody claimed: {runs:?}",
                self.id
            ));
        }
        wrong
    }
}

/// How often each attempt ran, by the traces that the agent left.
pub(crate) fn runs(traces: &[Trace]) -> HashMap<TaskId, Runs> {
    let mut runs: HashMap<TaskId, Runs> = HashMap::new();
    for trace in traces {
        *runs.entry(trace.task).or_default().entry(trace.attempt).or_default() += 1;
    }
    runs
}
