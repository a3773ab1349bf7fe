#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod adapter;
#[cfg(all(any(feature = "sqlite", feature = "postgres"), feature = "host-metrics"))]
pub mod config;
pub mod prelude;
#[cfg(all(any(feature = "sqlite", feature = "postgres"), feature = "host-metrics"))]
pub mod setup;
#[cfg(feature = "otel")]
pub mod telemetry;

#[cfg(any(
    feature = "docker-metrics",
    feature = "gpu-metrics",
    feature = "llama-cpp",
    feature = "ollama",
    feature = "openai",
    feature = "host-metrics"
))]
pub use sutazai_agent as agent;
#[cfg(feature = "http")]
pub use sutazai_http as http;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sutazai_store as store;

/// Crates whose items appear in this API, in the versions that it uses.
pub mod external {
    pub use async_trait::async_trait;
    pub use chrono;
    pub use futures;
    pub use schemars;
    pub use serde;
    pub use serde_json;
    pub use tokio_util::sync::CancellationToken;
    pub use uuid;
}

/// Runs the code of docs/embedding.md.
#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
mod embedding_page {}

#[cfg(feature = "identity")]
pub use sutazai_core::identity;
#[cfg(feature = "test-util")]
pub use sutazai_core::testing;
pub use sutazai_core::{
    Error, ErrorKind, Result, admission_control, chat, documents, domain, engine, memory, metric_history,
    ports, relay, schedules, task_store, trace, typed_agent,
};

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::admission_control::AdmissionControlConfig;
    use crate::chat::Chat;
    use crate::documents::Documents;
    use crate::domain::{Caller, MediaType, NewConversation, NewDocument, PageLimit, PageRequest};
    use crate::engine::Engine;
    use crate::memory::{
        MemoryConversationStore, MemoryDocumentStore, MemoryMessageBus, MemoryScheduleStore, MemoryTaskStore,
    };
    use crate::ports::SystemClock;
    use crate::schedules::Schedules;

    /// Builds an engine and all services over it with types of the facade only: an embedder needs no other crate of
    /// the workspace.
    #[tokio::test]
    async fn services_over_an_engine_are_built_from_the_facade_alone() {
        let (tasks, clock) = (Arc::new(MemoryTaskStore::new()), Arc::new(SystemClock));
        let limits = AdmissionControlConfig { slots: Some(2), ..AdmissionControlConfig::default() };
        let engine = Engine::builder()
            .task_store(tasks.clone())
            .schedule_store(Arc::new(MemoryScheduleStore::new()))
            .message_bus(Arc::new(MemoryMessageBus::new(10)), tasks.relays())
            .admission_control(limits)
            .start()
            .await
            .unwrap();

        let chat = Chat::new(Arc::new(MemoryConversationStore::new()), engine.clone());
        let new = NewConversation { title: "disks".into(), model: None, system: None };
        let begun = chat.begin(&Caller::System, new).await.unwrap();
        assert_eq!(chat.conversation(&Caller::System, begun.id).await.unwrap().title, "disks");

        let documents = Documents::new(Arc::new(MemoryDocumentStore::new()), clock.clone());
        let file = b"The disk /data is full.".to_vec();
        let new = NewDocument { title: "note".into(), media_type: MediaType::Plain, file };
        let document = documents.upload(&Caller::System, new).await.unwrap();
        let found = documents.search(&Caller::System, "disk", PageLimit::default()).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(documents.document(&Caller::System, document.id).await.unwrap(), document);

        let schedules: Schedules = engine.schedules().unwrap();
        let page = schedules.list(&Caller::System, None, PageRequest::default()).await.unwrap();
        assert!(page.items.is_empty());
        engine.shutdown().await.unwrap();
    }
}
