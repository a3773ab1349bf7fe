//! Reference adapters over standard collections, for tests, examples, and embedders that need no durability.

mod agent_store;
mod api_key_store;
mod cache;
mod conversation_store;
mod document_store;
mod identity_store;
mod listing;
mod message_bus;
mod metric_store;
mod outbox;
mod relay_store;
mod schedule_store;
mod task_store;

pub use agent_store::MemoryAgentStore;
pub use api_key_store::MemoryApiKeyStore;
pub use cache::MemoryCache;
pub use conversation_store::MemoryConversationStore;
pub use document_store::MemoryDocumentStore;
pub use identity_store::MemoryIdentityStore;
pub use message_bus::MemoryMessageBus;
pub use metric_store::MemoryMetricStore;
pub use relay_store::MemoryRelayStore;
pub use schedule_store::MemoryScheduleStore;
pub use task_store::MemoryTaskStore;
