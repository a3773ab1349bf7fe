//! Events of tasks, as the database, the HTTP API and the message bus give them. Only here is the database asked for them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sutazai::domain::{TaskId, TaskStatus};

use crate::postgres::Postgres;

const LEASE_LOST: &str = "the worker's lease ran out";

/// Task, sequence, when in microseconds, status and attempt if it has them, what went wrong: that it was added, the lines of
/// its history, and what its agent reported.
const ALL: &str = "\
    SELECT id, 1, (extract(epoch FROM created_at) * 1000000)::bigint, 'pending', '0', '' FROM tasks
    UNION ALL
    SELECT id, (entry->0)::bigint, (entry->1)::bigint, entry->>2, entry->>3, coalesce(entry->4->>'message', '')
    FROM tasks CROSS JOIN unnest(string_to_array(rtrim(history, E'\\n'), E'\\n')) AS line
        CROSS JOIN LATERAL (SELECT line::jsonb AS entry) AS read
    UNION ALL
    SELECT task_id, sequence, (extract(epoch FROM at) * 1000000)::bigint, '', '0', '' FROM task_events";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) sequence: u64,
    pub(crate) at: DateTime<Utc>,
    /// The status that was entered; none for what an agent reports.
    pub(crate) status: Option<TaskStatus>,
    /// The attempt that the status belongs to, else 0.
    pub(crate) attempt: u64,
    /// Whether an attempt has ended because its lease did.
    pub(crate) lease_lost: bool,
}

impl Event {
    /// An event as the API and the bus tell it.
    pub(crate) fn told(json: &Value) -> Option<Self> {
        Some(Self {
            sequence: json["sequence"].as_u64()?,
            at: json["at"].as_str()?.parse().ok()?,
            status: json["status"].as_str().map(str::parse).transpose().ok()?,
            attempt: json["attempt"].as_u64().unwrap_or_default(),
            lease_lost: json["error"]["message"] == LEASE_LOST,
        })
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.status.is_some_and(TaskStatus::has_ended)
    }
}

/// All that the database has, of each task in their order.
pub(crate) fn of_database(postgres: &Postgres) -> HashMap<TaskId, Vec<Event>> {
    let mut of_tasks: HashMap<TaskId, Vec<Event>> = HashMap::new();
    let read = postgres.each(ALL, |columns| {
        let [task, sequence, at, status, attempt, error] = columns[..] else { panic!("{columns:?}") };
        of_tasks.entry(task.parse().unwrap()).or_default().push(Event {
            sequence: sequence.parse().unwrap(),
            at: DateTime::from_timestamp_micros(at.parse().unwrap()).unwrap(),
            status: (!status.is_empty()).then(|| status.parse().unwrap()),
            attempt: attempt.parse().unwrap(),
            lease_lost: error == LEASE_LOST,
        });
    });
    read.unwrap();
    of_tasks.values_mut().for_each(|events| events.sort_by_key(|event| event.sequence));
    of_tasks
}

/// Those of a stream of server-sent events.
pub(crate) fn of_stream(text: &str) -> Vec<Event> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.map(|data| Event::told(&serde_json::from_str(data).unwrap()).expect("no event")).collect()
}
