//! Writes one answer down while it is passed on: what was written is kept, whoever goes away.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::{Stream, StreamExt};
use tokio::sync::mpsc;

use crate::domain::{ConversationId, ModelEvent, ModelUsage, Role, StoredMessage};
use crate::error::{Error, Result};
use crate::ports::{Clock, ConversationStore, ModelStream};

/// One piece of an answer in a conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// More text.
    Text(String),
    /// The end: the message as it is kept.
    Done(StoredMessage),
}

/// An answer as it is written: pieces of text, then exactly one `Done`; or an error, then nothing. Dropping it stops the
/// model; what was written so far is kept.
#[derive(Debug)]
pub struct Answer {
    events: mpsc::UnboundedReceiver<Result<ChatEvent>>,
}

impl Stream for Answer {
    type Item = Result<ChatEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_recv(context)
    }
}

/// Where an answer is written down.
#[derive(Debug)]
pub(super) struct Notebook {
    pub(super) store: Arc<dyn ConversationStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) conversation: ConversationId,
}

impl Notebook {
    /// The answer, and the work of writing it down, which must be run to its end.
    pub(super) fn take_down(self, stream: ModelStream) -> (Answer, impl Future<Output = ()> + Send) {
        let (sender, events) = mpsc::unbounded_channel();
        (Answer { events }, self.write(stream, sender))
    }

    async fn write(self, mut stream: ModelStream, reader: mpsc::UnboundedSender<Result<ChatEvent>>) {
        let mut text = String::new();
        let ended = loop {
            let event = tokio::select! {
                biased;
                () = reader.closed() => break None,
                event = stream.next() => event,
            };
            match event {
                Some(Ok(ModelEvent::Text(piece))) => {
                    text.push_str(&piece);
                    // Whether it still listens is seen above.
                    let _ = reader.send(Ok(ChatEvent::Text(piece)));
                }
                Some(Ok(ModelEvent::Done(usage))) => {
                    if let (Some(refusal), true) = (&usage.refusal, text.is_empty()) {
                        text.clone_from(refusal);
                        let _ = reader.send(Ok(ChatEvent::Text(text.clone())));
                    }
                    break Some(Ok(usage));
                }
                Some(Err(e)) => break Some(Err(e)),
                None => break Some(Err(Error::unavailable("the model ended its answer without saying so"))),
            }
        };
        // The model stops before the store is asked.
        drop(stream);
        let told = match ended {
            Some(Ok(usage)) => self.keep(text, Some(usage)).await.map(ChatEvent::Done),
            broken => {
                if !text.is_empty()
                    && let Err(e) = self.keep(text, None).await
                {
                    tracing::warn!(conversation = %self.conversation, error = %e, "half an answer could not be kept");
                }
                match broken {
                    Some(Err(e)) => Err(e),
                    _ => return,
                }
            }
        };
        let _ = reader.send(told);
    }

    /// Keeps an answer; one without usage was cut.
    async fn keep(&self, text: String, usage: Option<ModelUsage>) -> Result<StoredMessage> {
        let message = StoredMessage::new(self.conversation, Role::Assistant, text, self.clock.now());
        let message = StoredMessage { cut: usage.is_none(), usage, ..message };
        self.store.append(&message).await?;
        Ok(message)
    }
}
