//! [`MessageBus`] within one process.

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::error::Result;
use crate::ports::{BusMessage, MessageBus};

/// Carries messages to listeners in this process, which hear what is published while they listen. For tests, and for
/// embedders who pass messages on themselves.
#[derive(Debug)]
pub struct MemoryMessageBus {
    messages: broadcast::Sender<BusMessage>,
}

impl MemoryMessageBus {
    /// A bus whose listeners may be so many messages behind before they miss some.
    pub fn new(capacity: usize) -> Self {
        Self { messages: broadcast::Sender::new(capacity) }
    }

    /// Listens from now on, to everything.
    pub fn listen(&self) -> broadcast::Receiver<BusMessage> {
        self.messages.subscribe()
    }
}

#[async_trait]
impl MessageBus for MemoryMessageBus {
    async fn publish(&self, messages: &[BusMessage]) -> Result<()> {
        for message in messages {
            // An error says that nobody listens.
            let _ = self.messages.send(message.clone());
        }
        Ok(())
    }

    async fn reach(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn conforms() {
        let bus = Arc::new(MemoryMessageBus::new(1_000));
        let mut heard = bus.listen();
        crate::testing::message_bus::run_all(bus, "suite", async || heard.recv().await.unwrap()).await;
    }
}
