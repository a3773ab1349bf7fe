//! Recorder of an answer: stores the text while it is streamed, even if the reader disconnects.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::{Stream, StreamExt};
use tokio::sync::mpsc;

use crate::domain::{ConversationId, ModelEvent, ModelUsage, Role, StoredMessage};
use crate::error::{Error, Result};
use crate::ports::{Clock, ConversationStore, ModelStream};

/// One event of an answer in a conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// The next piece of the text.
    Text(String),
    /// The end of the answer, with the message as stored.
    Done(StoredMessage),
}

/// A streamed answer: pieces of text and then exactly one `Done`, or an error and then nothing. Dropping it stops the
/// model; the text generated so far is stored.
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

/// Recorder of one answer in its conversation.
#[derive(Debug)]
pub(super) struct AnswerRecorder {
    pub(super) store: Arc<dyn ConversationStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) conversation: ConversationId,
}

impl AnswerRecorder {
    /// Returns the answer stream, and the recording future, which must be run to its end.
    pub(super) fn record(self, stream: ModelStream) -> (Answer, impl Future<Output = ()> + Send) {
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
                    // A failed send is ignored here, because the loop checks for a disconnected reader above.
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
                None => {
                    break Some(Err(Error::unavailable("the model stopped answering without an end event")));
                }
            }
        };
        // The model is stopped before the store is called, so that it does not generate during a slow write.
        drop(stream);
        let told = match ended {
            Some(Ok(usage)) => self.keep(text, Some(usage)).await.map(ChatEvent::Done),
            broken => {
                if !text.is_empty()
                    && let Err(e) = self.keep(text, None).await
                {
                    tracing::warn!(conversation = %self.conversation, error = %e, "partial answer not stored");
                }
                match broken {
                    Some(Err(e)) => Err(e),
                    _ => return,
                }
            }
        };
        let _ = reader.send(told);
    }

    /// Stores an answer; one without usage was interrupted.
    async fn keep(&self, text: String, usage: Option<ModelUsage>) -> Result<StoredMessage> {
        let message = StoredMessage::new(self.conversation, Role::Assistant, text, self.clock.now());
        let message = StoredMessage { cut: usage.is_none(), usage, ..message };
        self.store.append(&message).await?;
        Ok(message)
    }
}
