//! Events of tasks, as the database, the HTTP API and the message bus represent them. Only this module reads
//! them from the database.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sutazai::domain::{TaskId, TaskStatus};

use crate::postgres::Postgres;

const LEASE_LOST: &str = "the lease of the worker expired";

/// All events: task, sequence, time in microseconds, status and attempt or empty and 0, error. They come from
/// the creation, the history, and the events that the agent reported.
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
    /// Status that was entered; `None` for what an agent reports.
    pub(crate) status: Option<TaskStatus>,
    /// Attempt that the status belongs to, or 0.
    pub(crate) attempt: u64,
    /// True if an attempt ended because its lease expired.
    pub(crate) lease_lost: bool,
}

impl Event {
    /// Parses an event of the API or the bus.
    pub(crate) fn parse(json: &Value) -> Option<Self> {
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

/// Reads all events from the database, by task and in order.
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

/// Parses a stream of server-sent events.
pub(crate) fn of_stream(text: &str) -> Vec<Event> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.map(|data| Event::parse(&serde_json::from_str(data).unwrap()).expect("no event")).collect()
}
