//! [`MessageBus`] over a broadcast channel, local to one process.

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::domain::BusMessage;
use crate::error::Result;
use crate::ports::MessageBus;

/// Message bus for subscribers in this process, which receive what is published while they are subscribed. For tests,
/// and for embedders that forward the messages themselves.
#[derive(Debug)]
pub struct MemoryMessageBus {
    messages: broadcast::Sender<BusMessage>,
}

impl MemoryMessageBus {
    /// Creates a bus whose subscribers miss messages once they lag by more than `capacity`.
    pub fn new(capacity: usize) -> Self {
        Self { messages: broadcast::Sender::new(capacity) }
    }

    /// Subscribes to all messages from now on.
    pub fn listen(&self) -> broadcast::Receiver<BusMessage> {
        self.messages.subscribe()
    }
}

#[async_trait]
impl MessageBus for MemoryMessageBus {
    async fn publish(&self, messages: &[BusMessage]) -> Result<()> {
        for message in messages {
            // Sending fails only without subscribers.
            let _ = self.messages.send(message.clone());
        }
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
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
        let mut received = bus.listen();
        crate::testing::message_bus::run_all(bus, "suite", async || received.recv().await.unwrap()).await;
    }
}
