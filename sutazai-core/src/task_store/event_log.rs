//! Port [`EventLog`] over the transactions of a storage.

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::pages::page;
use super::storage::{EventFilter, TaskStorage, TaskTransaction};
use super::transactional::TransactionalTaskStore;
use super::unit_of_work::UnitOfWork;
use crate::domain::{
    AgentMessage, ClaimKey, EventLogEntry, EventOffset, NewEvent, Page, PageRequest, TaskEvent, TaskId,
    UserId,
};
use crate::error::Result;
use crate::ports::{EventLog, WakeUp};

#[async_trait]
impl<S: TaskStorage> EventLog for TransactionalTaskStore<S> {
    async fn append(&self, claim: &ClaimKey, events: Vec<NewEvent>) -> Result<()> {
        let claim = *claim;
        self.run(move |mut session| async move {
            let mut changes = UnitOfWork::new(&mut session);
            changes.append(&claim, events).await?;
            changes.flush().await?;
            session.commit(()).await
        })
        .await
    }

    async fn events_after(&self, id: TaskId, after: u64, limit: u32) -> Result<Vec<TaskEvent>> {
        let page = self.events(EventFilter::OfTask(id, after), limit).await?;
        Ok(page.items.into_iter().map(|entry| entry.event).collect())
    }

    async fn agent_messages(&self, id: TaskId, request: PageRequest<u64>) -> Result<Page<AgentMessage, u64>> {
        self.run(move |mut session| async move {
            let messages = session.read().messages(id, request.cursor.unwrap_or_default());
            let bytes = |(_, message): &(u64, AgentMessage)| message.content.payload_bytes();
            let page = page(messages, request.limit.get(), bytes, |(number, _)| *number).await?;
            Ok(page.map(|(_, message)| message))
        })
        .await
    }

    async fn event_log_after(
        &self,
        owner: Option<UserId>,
        after: EventOffset,
        limit: u32,
    ) -> Result<Page<EventLogEntry, EventOffset>> {
        self.events(EventFilter::Log(owner, after), limit).await
    }

    async fn event_log_end(&self) -> Result<EventOffset> {
        self.run(|mut session| async move { Ok(session.read().event_log_bounds().await?.end) }).await
    }

    async fn event_log_begin(&self) -> Result<EventOffset> {
        self.run(|mut session| async move { Ok(session.read().event_log_bounds().await?.begin) }).await
    }

    fn subscribe(&self) -> broadcast::Receiver<WakeUp> {
        self.wake_ups()
    }
}

impl<S: TaskStorage> TransactionalTaskStore<S> {
    async fn events(&self, filter: EventFilter, limit: u32) -> Result<Page<EventLogEntry, EventOffset>> {
        self.run(move |mut session| async move {
            let bytes = |entry: &EventLogEntry| entry.event.kind.text_bytes();
            page(session.read().events(filter), limit, bytes, |entry| entry.position).await
        })
        .await
    }
}
