//! Contexts for tests of agents, with given measurements and a recorder of the emitted events.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use crate::domain::{NewEvent, NewTask, Section, Snapshot, SnapshotPart, Task};
use crate::error::Result;
use crate::ports::{AgentContext, Clock, EventSink, MetricSource};

/// Creates the context of a first attempt at a task of this agent with this payload: no model, no metrics, no history,
/// and a sink that records events. Tests fill in what they need.
pub fn agent_context(
    agent: &str,
    payload: Value,
    clock: Arc<dyn Clock>,
) -> (AgentContext, Arc<RecordedEvents>) {
    let events = Arc::new(RecordedEvents::default());
    let task = Task::pending(NewTask::new(agent, payload), None, None, clock.now());
    (AgentContext::new(task, clock, events.clone()), events)
}

/// An [`EventSink`] that records all events.
#[derive(Debug, Default)]
pub struct RecordedEvents(Mutex<Vec<NewEvent>>);

impl RecordedEvents {
    /// Returns the events emitted so far, in order.
    pub fn all(&self) -> Vec<NewEvent> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<NewEvent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for RecordedEvents {
    fn emit(&self, event: NewEvent) {
        self.lock().push(event);
    }
}

/// Creates one metric source for each section that is present in the snapshot.
pub fn sources_of(snapshot: Snapshot) -> Vec<Arc<dyn MetricSource>> {
    let Snapshot { host, pressure, cgroup, containers, gpus, custom, taken_at: _ } = snapshot;
    let mut parts = Vec::new();
    let mut add =
        |name: &str, part: Option<SnapshotPart>| parts.extend(part.map(|part| (name.to_owned(), part)));
    add("host", present(host).map(SnapshotPart::Host));
    add("pressure", present(pressure).map(SnapshotPart::Pressure));
    add("cgroup", present(cgroup).map(SnapshotPart::Cgroup));
    add("containers", present(containers).map(SnapshotPart::Containers));
    add("gpus", present(gpus).map(SnapshotPart::Gpus));
    for (name, section) in custom {
        add(&name, present(section).map(|value| SnapshotPart::Custom(name.clone(), value)));
    }
    let measured = |(name, part)| Arc::new(Measured { name, part }) as Arc<dyn MetricSource>;
    parts.into_iter().map(measured).collect()
}

fn present<T>(section: Section<T>) -> Option<T> {
    match section {
        Section::Present { value } => Some(value),
        Section::Missing { .. } => None,
    }
}

#[derive(Debug)]
struct Measured {
    name: String,
    part: SnapshotPart,
}

#[async_trait]
impl MetricSource for Measured {
    fn name(&self) -> &str {
        &self.name
    }

    async fn collect(&self) -> Result<SnapshotPart> {
        Ok(self.part.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::DateTime;
    use serde_json::json;

    use super::*;
    use crate::testing::metric_source;

    /// [`Measured`] satisfies the contract of its port.
    #[tokio::test]
    async fn every_section_has_a_source() {
        let mut snapshot = Snapshot::empty(DateTime::UNIX_EPOCH);
        snapshot.gpus = Section::Present { value: Vec::new() };
        let fans = Section::Present { value: json!({ "rpm": 900 }) };
        snapshot.custom = BTreeMap::from([("fans".to_owned(), fans)]);
        let mut names = Vec::new();
        for source in sources_of(snapshot) {
            names.push(source.name().to_owned());
            metric_source::run_all(source).await;
        }
        assert_eq!(names, ["gpus", "fans"]);
    }
}
