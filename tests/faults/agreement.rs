//! Comparison of the ledgers with the database, which is read by `psql`, without our code.

use std::collections::HashMap;

use sutazai::domain::TaskId;

use crate::cluster::Cluster;
use crate::events::Event;
use crate::ledger::{Entry, Ledger};
use crate::node::Trace;
use crate::receiver::Receiver;
use crate::record::{Record, runs};
use crate::report::Tally;

/// All tasks, without their events.
const TASKS: &str = "\
    SELECT id, coalesce(parent_id::text, ''), coalesce(idempotency_key, ''), status, attempt, last_sequence,
        coalesce(payload->>'n', ''), coalesce(result->>'square', ''), coalesce(result->>'children', '')
    FROM tasks";

/// Children that did not get exactly one request, or did not answer it exactly once.
const UNANSWERED: &str = "\
    SELECT count(*) FROM (
        SELECT child.id FROM tasks AS child LEFT JOIN agent_messages AS said
            ON said.correlation_id = child.id AND said.task_id = child.parent_id AND said.type <> 'HEARTBEAT'
        WHERE child.parent_id IS NOT NULL GROUP BY child.id
        HAVING coalesce(string_agg(said.type, ' ' ORDER BY said.number), '') <> 'TASK RESULT') AS odd";

/// Returns all differences, one sentence each.
pub(crate) fn differences(
    cluster: &Cluster,
    ledger: &Ledger,
    receiver: &Receiver,
    events: &HashMap<TaskId, Vec<Event>>,
    traces: &[Trace],
    tally: &Tally,
) -> Vec<String> {
    let mut differences = Vec::new();
    let records = records(cluster, events, &mut differences);
    let entries = ledger.entries();
    differences.extend(of_ledger(&entries, &records));
    let runs = runs(traces);
    for record in &records {
        differences.extend(record.contradictions(runs.get(&record.id)));
        let (end, square) = (record.status.as_str(), Some(record.n * record.n));
        if record.parent.is_some() && (end != "completed" || record.square != square) {
            differences.push(format!("child {} is {end} with {:?}", record.id, record.square));
        }
    }
    match cluster.postgres.number(UNANSWERED) {
        Some(0) => {}
        unanswered => {
            differences.push(format!("{unanswered:?} children did not receive and send one message each"))
        }
    }
    differences.extend(receiver.differences(events));
    tally.figure("tasks acknowledged", entries.len() as u64);
    tally.figure("tasks in the database, children included", records.len() as u64);
    tally.figure("attempts", records.iter().map(|record| record.attempt).sum());
    tally.figure("most attempts of one task", records.iter().map(|record| record.attempt).max().unwrap_or(0));
    tally.figure("runs of the agent", traces.len() as u64);
    tally.figure("events", records.iter().map(|record| record.events.len() as u64).sum());
    tally.figure("events received over RabbitMQ", receiver.events());
    let (again, connections) = receiver.again();
    tally.figure("messages received again", again);
    tally.figure("connections used to receive them", connections);
    differences
}

fn records(
    cluster: &Cluster,
    events: &HashMap<TaskId, Vec<Event>>,
    differences: &mut Vec<String>,
) -> Vec<Record> {
    let mut records = Vec::new();
    let read = cluster.postgres.each(TASKS, |columns| {
        let [id, parent, key, status, attempt, last, n, square, children] = columns[..] else {
            panic!("{columns:?}")
        };
        let id = id.parse().unwrap();
        let events = events.get(&id).cloned().unwrap_or_default();
        if last != events.len().to_string() {
            differences.push(format!("task {id} has {} events, and {last} by its own count", events.len()));
        }
        records.push(Record {
            id,
            parent: parent.parse().ok(),
            key: (!key.is_empty()).then(|| key.to_owned()),
            status: status.parse().unwrap(),
            attempt: attempt.parse().unwrap(),
            n: n.parse().unwrap(),
            square: square.parse().ok(),
            children: children.parse().ok(),
            events,
        });
    });
    read.unwrap();
    records
}

fn of_ledger(entries: &[Entry], records: &[Record]) -> Vec<String> {
    let mut differences = Vec::new();
    let by_key: HashMap<&str, &Record> =
        records.iter().filter_map(|record| Some((record.key.as_deref()?, record))).collect();
    let mut children: HashMap<TaskId, u64> = HashMap::new();
    for parent in records.iter().filter_map(|record| record.parent) {
        *children.entry(parent).or_default() += 1;
    }
    for entry in entries {
        match by_key.get(&*Entry::key(entry.n)) {
            None => differences.push(format!("task {} was acknowledged but is lost", entry.id)),
            Some(record) if record.id != entry.id => {
                differences
                    .push(format!("task {} was acknowledged, but {} has its key", entry.id, record.id));
            }
            Some(record) => differences.extend(record.differs(entry)),
        }
        let there = children.get(&entry.id).copied().unwrap_or_default();
        if there != entry.children {
            differences
                .push(format!("task {} has {there} children and should have {}", entry.id, entry.children));
        }
    }
    let without_parent = records.iter().filter(|record| record.parent.is_none()).count();
    if without_parent != entries.len() {
        differences.push(format!("{without_parent} tasks exist, but {} were acknowledged", entries.len()));
    }
    differences
}
