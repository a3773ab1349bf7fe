//! Messages between the agents of parents and children.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::ops::Bound;

use chrono::{DateTime, Utc};

use super::Queue;
use crate::domain::{AgentMessage, AgentMessageContent, Page, PageRequest, Task, TaskId};

/// All messages in the order in which they were recorded.
#[derive(Debug, Default)]
pub(super) struct Messages {
    written: u64,
    all: BTreeMap<u64, AgentMessage>,
    of: HashMap<TaskId, BTreeSet<u64>>,
}

impl Messages {
    fn add(&mut self, message: AgentMessage) {
        self.written += 1;
        for task in [message.task_id, message.correlation_id] {
            self.of.entry(task).or_default().insert(self.written);
        }
        self.all.insert(self.written, message);
    }

    fn remove(&mut self, number: u64) {
        let Some(message) = self.all.remove(&number) else { return };
        for task in [message.task_id, message.correlation_id] {
            if let Some(numbers) = self.of.get_mut(&task) {
                numbers.remove(&number);
            }
        }
    }

    fn is_heartbeat_of(&self, number: u64, child: TaskId) -> bool {
        self.all.get(&number).is_some_and(|message| {
            message.correlation_id == child && matches!(message.content, AgentMessageContent::Heartbeat(_))
        })
    }

    /// Removes the messages of a task.
    pub(super) fn forget(&mut self, task: TaskId) {
        for number in self.of.remove(&task).unwrap_or_default() {
            self.remove(number);
        }
    }
}

impl Queue {
    /// Records the delegation of these children by their parent, once per child.
    pub(super) fn ask(&mut self, parent: TaskId, children: &[TaskId], at: DateTime<Utc>) {
        let mut asked = BTreeSet::new();
        for child in children.iter().filter(|child| asked.insert(**child)) {
            if let Some((waiting, child)) = self.pair(parent, *child) {
                let answer = AgentMessage::answer(waiting, child, at);
                let ask = AgentMessage::ask(waiting, child, at);
                self.messages.add(ask);
                answer.into_iter().for_each(|answer| self.messages.add(answer));
            }
        }
    }

    /// Records the reply of an ended child to its parent.
    pub(super) fn answer(&mut self, parent: TaskId, child: TaskId, at: DateTime<Utc>) {
        let answer =
            self.pair(parent, child).and_then(|(waiting, child)| AgentMessage::answer(waiting, child, at));
        answer.into_iter().for_each(|answer| self.messages.add(answer));
    }

    /// Records a heartbeat of a child with a renewed lease for its parents, replacing the previous one.
    pub(super) fn heartbeat_time(&mut self, child: TaskId, at: DateTime<Utc>) {
        let Some(parents) = self.waiters.get(&child).cloned() else { return };
        let said = self.messages.of.get(&child).into_iter().flatten().copied();
        let before: Vec<u64> = said.filter(|number| self.messages.is_heartbeat_of(*number, child)).collect();
        before.into_iter().for_each(|number| self.messages.remove(number));
        for parent in parents {
            let message = self
                .pair(parent, child)
                .and_then(|(waiting, held)| AgentMessage::heartbeat(waiting, held, at));
            message.into_iter().for_each(|message| self.messages.add(message));
        }
    }

    pub(in crate::memory::task_store) fn agent_messages(
        &self,
        id: TaskId,
        page: PageRequest<u64>,
    ) -> Page<AgentMessage, u64> {
        let Some(numbers) = self.messages.of.get(&id) else { return Page::default() };
        let later = numbers.range((page.cursor.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        let sized = later.filter_map(|number| {
            let message = self.messages.all.get(number)?;
            let bytes = message.content.payload_bytes();
            Some((bytes, move || Ok::<_, Infallible>((*number, message.clone()))))
        });
        let limit = page.limit.get() as usize;
        let Ok(page) = Page::collect(sized, limit, |(number, _)| Some(*number));
        page.map(|(_, message)| message)
    }

    fn pair(&self, parent: TaskId, child: TaskId) -> Option<(&Task, &Task)> {
        Some((self.tasks.get(&parent)?, self.tasks.get(&child)?))
    }
}
