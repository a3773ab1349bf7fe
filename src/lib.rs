#![doc = include_str!("../README.md")]

#[cfg(all(any(feature = "sqlite", feature = "postgres"), feature = "http", feature = "system"))]
pub mod config;
#[cfg(all(any(feature = "sqlite", feature = "postgres"), feature = "http", feature = "system"))]
pub mod setup;
#[cfg(feature = "otel")]
pub mod telemetry;

pub use sutazai_agent as agent;
#[cfg(feature = "http")]
pub use sutazai_http as http;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sutazai_store as store;

#[cfg(feature = "testing")]
pub use sutazai_core::testing;
pub use sutazai_core::{
    Error, ErrorKind, Result, admission_control, chat, documents, domain, engine, identity, memory, ports,
    relay, schedules, trace,
};

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::admission_control::AdmissionControlConfig;
    use crate::chat::Chat;
    use crate::documents::Documents;
    use crate::domain::{Caller, MediaType, NewConversation, NewDocument, ScheduleQuery};
    use crate::engine::Engine;
    use crate::memory::{
        MemoryConversationStore, MemoryDocumentStore, MemoryMessageBus, MemoryScheduleStore, MemoryTaskStore,
    };
    use crate::ports::SystemClock;
    use crate::relay::Relay;
    use crate::schedules::Schedules;

    /// Builds an engine and all services over it with types of the facade only: an embedder needs no other crate of
    /// the workspace.
    #[tokio::test]
    async fn services_over_an_engine_are_built_from_the_facade_alone() {
        let (tasks, clock) = (Arc::new(MemoryTaskStore::new()), Arc::new(SystemClock));
        let limits = AdmissionControlConfig { slots: Some(2), ..AdmissionControlConfig::default() };
        let engine = Engine::builder().task_store(tasks.clone()).admission_control(limits).build().unwrap();

        let chat = Chat::new(Arc::new(MemoryConversationStore::new()), engine.clone());
        let new = NewConversation { title: "disks".into(), model: None, system: None };
        let begun = chat.begin(&Caller::System, new).await.unwrap();
        assert_eq!(chat.conversation(&Caller::System, begun.id).await.unwrap().title, "disks");

        let documents = Documents::new(Arc::new(MemoryDocumentStore::new()), clock.clone());
        let file = b"The disk /data is full.".to_vec();
        let new = NewDocument { title: "note".into(), media_type: MediaType::Plain, file };
        let document = documents.upload(&Caller::System, new).await.unwrap();
        let found = documents.search(&Caller::System, "disk", 10).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(documents.document(&Caller::System, document.id).await.unwrap(), document);

        let schedules = Schedules::new(Arc::new(MemoryScheduleStore::new()), engine);
        let query = ScheduleQuery { owner: None, before: None, limit: 10 };
        assert!(schedules.list(&Caller::System, query).await.unwrap().items.is_empty());

        let bus = Arc::new(MemoryMessageBus::new(10));
        let relay = Relay::new(tasks.clone(), tasks.relays(), bus, clock);
        relay.begin().await.unwrap();
    }
}
