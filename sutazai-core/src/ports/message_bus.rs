//! Message bus port, through which other programs learn of task events.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::BusMessage;
use crate::error::Result;

/// Publisher of messages to any number of consumers.
///
/// # Contract
/// - Published messages reach their subscribers unchanged and in order.
/// - An unroutable message does not block later ones.
/// - Messages of concurrent calls are all delivered, each call's in its order.
/// - `ping` reports whether the bus can be reached.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::Arc;
/// use sutazai_core::engine::Engine;
/// use sutazai_core::memory::{MemoryMessageBus, MemoryTaskStore};
/// use sutazai_core::typed_agent::agent;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sutazai_core::Result<()> {
/// let bus = Arc::new(MemoryMessageBus::new(100));
/// let mut messages = bus.listen();
/// let store = Arc::new(MemoryTaskStore::new());
/// let engine = Engine::builder()
///     .agent(agent("greeter", async |name: BTreeMap<String, String>, _| Ok(name)))
///     .task_store(store.clone())
///     .message_bus(bus, store.relays())
///     .start()
///     .await?;
/// engine.submit("greeter", BTreeMap::from([("name", "Ada")])).await?;
/// let message = messages.recv().await.unwrap();
/// assert_eq!(message.topic, "task.greeter.pending");
/// engine.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait MessageBus: Debug + Send + Sync + 'static {
    /// Publishes messages in order. `Ok` means that the bus has confirmed all of them and does not lose them.
    ///
    /// # Errors
    /// `Unavailable`; some messages may have been published by then, so the caller publishes all of them again.
    ///
    /// # Cancel safety
    /// A future that is dropped may have published some of the messages, as after an error.
    async fn publish(&self, messages: &[BusMessage]) -> Result<()>;

    /// Checks that the bus responds now.
    ///
    /// # Errors
    /// `Unavailable` if it does not respond.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect on messages.
    async fn ping(&self) -> Result<()>;
}
