//! Whether ledger and database agree, asked of the database by its own program.

use std::collections::HashMap;

use crate::cluster::Cluster;
use crate::ledger::{Entry, Ledger};
use crate::report::Tally;

/// A task and the count of its events as the database has them.
const RECORD: &str = "\
    SELECT t.id, coalesce(t.parent_id::text, ''), coalesce(t.idempotency_key, ''), t.status, t.attempt, t.last_sequence,
        t.payload->>'n', coalesce(t.result->>'square', ''), coalesce(t.result->>'children', ''),
        e.count, e.least, e.largest, e.claims, e.ends, e.last_end
    FROM tasks t LEFT JOIN (
        SELECT task_id, count(*), min(sequence) AS least, max(sequence) AS largest,
            count(*) FILTER (WHERE kind->>'status' = 'processing') AS claims,
            count(*) FILTER (WHERE kind->>'status' IN ('completed', 'failed', 'cancelled')) AS ends,
            max(sequence) FILTER (WHERE kind->>'status' IN ('completed', 'failed', 'cancelled')) AS last_end
        FROM task_events GROUP BY task_id
    ) e ON e.task_id = t.id";

struct Row {
    id: String,
    parent: String,
    key: String,
    status: String,
    attempt: u64,
    n: u64,
    square: String,
    children: String,
    /// Last sequence of the task; count, least and largest sequence of its events; claims, ends, place of the end.
    events: [u64; 7],
}

impl Row {
    fn read(line: &str) -> Self {
        let column: Vec<&str> = line.split('\t').collect();
        let number = |index: usize| column[index].parse().unwrap_or(0);
        let text = |index: usize| column[index].to_owned();
        Self {
            id: text(0),
            parent: text(1),
            key: text(2),
            status: text(3),
            attempt: number(4),
            n: number(6),
            square: text(7),
            children: text(8),
            events: [number(5), number(9), number(10), number(11), number(12), number(13), number(14)],
        }
    }
}

/// Everything in which they differ, a sentence each.
pub(crate) fn differences(ledger: &Ledger, cluster: &Cluster, tally: &Tally) -> Vec<String> {
    let rows: Vec<Row> = cluster.postgres.ask(RECORD).unwrap().iter().map(|line| Row::read(line)).collect();
    let entries = ledger.entries();
    let mut runs: HashMap<String, HashMap<u64, u64>> = HashMap::new();
    for line in cluster.traces().lines() {
        let mut words = line.split(' ');
        let (id, attempt) = words.next().zip(words.next()).unwrap();
        *runs.entry(id.to_owned()).or_default().entry(attempt.parse().unwrap()).or_default() += 1;
    }
    let mut differences = Vec::new();
    let by_key: HashMap<&str, &Row> =
        rows.iter().filter(|row| !row.key.is_empty()).map(|row| (&*row.key, row)).collect();
    for entry in &entries {
        match by_key.get(&*Entry::key(entry.n)) {
            None => differences.push(format!("task {} was acknowledged and is lost", entry.id)),
            Some(row) if row.id != entry.id => {
                differences.push(format!("task {} was acknowledged, and {} has its key", entry.id, row.id));
            }
            Some(row) => differences.extend(as_expected(entry, row)),
        }
    }
    let mut of_parents: HashMap<&str, u64> = HashMap::new();
    rows.iter().for_each(|row| *of_parents.entry(&row.parent).or_default() += 1);
    for entry in &entries {
        let there = of_parents.get(&*entry.id).copied().unwrap_or_default();
        if there != entry.children {
            differences
                .push(format!("task {} has {there} children and should have {}", entry.id, entry.children));
        }
    }
    let without_parent = of_parents.get("").copied().unwrap_or_default();
    if without_parent != entries.len() as u64 {
        differences
            .push(format!("{without_parent} tasks are there, and {} were acknowledged", entries.len()));
    }
    rows.iter().for_each(|row| differences.extend(in_itself(row, runs.get(&row.id))));
    let (_, again) = ledger.counts();
    tally.figure("tasks acknowledged", entries.len() as u64);
    tally.figure("requests sent again", again);
    tally.figure("tasks in the database, children included", rows.len() as u64);
    tally.figure("attempts", rows.iter().map(|row| row.attempt).sum());
    tally.figure("most attempts of one task", rows.iter().map(|row| row.attempt).max().unwrap_or_default());
    tally.figure("runs of the agent", runs.values().flat_map(HashMap::values).sum());
    tally.figure("events", rows.iter().map(|row| row.events[1]).sum());
    differences
}

/// What the ledger says of a task.
fn as_expected(entry: &Entry, row: &Row) -> Option<String> {
    let (square, children) = ((entry.n * entry.n).to_string(), entry.children.to_string());
    let expected =
        if entry.doomed { ("failed", String::new(), String::new()) } else { ("completed", square, children) };
    let there = (&*row.status, row.square.clone(), row.children.clone());
    (there != expected).then(|| format!("task {} is {there:?} and should be {expected:?}", row.id))
}

/// What holds for any task that has ended.
fn in_itself(row: &Row, runs: Option<&HashMap<u64, u64>>) -> Vec<String> {
    let [last, count, least, largest, claims, ends, place] = row.events;
    let mut wrong = Vec::new();
    if (least, largest, count) != (1, last, last) {
        wrong.push(format!(
            "task {}: events {least} to {largest}, {count} of them, and {last} by the task",
            row.id
        ));
    }
    if (ends, place) != (1, last) {
        wrong.push(format!("task {}: {ends} ends, the last at {place} of {last}", row.id));
    }
    if claims != row.attempt {
        wrong.push(format!("task {}: {claims} events of claims for {} attempts", row.id, row.attempt));
    }
    // An attempt may end before the agent begins, but none runs twice, and the one that ended the task ran.
    let ran = runs.map_or(0, HashMap::len) as u64;
    if !(1..=row.attempt).contains(&ran) {
        wrong.push(format!("task {}: {ran} attempts left a trace, of {}", row.id, row.attempt));
    }
    if runs.is_some_and(|runs| runs.iter().any(|(attempt, times)| *times > 1 || *attempt > row.attempt)) {
        wrong.push(format!("task {}: an attempt ran twice, or one that nobody claimed: {runs:?}", row.id));
    }
    if row.key.is_empty() && (row.status != "completed" || row.square != (row.n * row.n).to_string()) {
        wrong.push(format!("child {} is {} with {:?}", row.id, row.status, row.square));
    }
    wrong
}
