//! Calls that are made at the same time, sent to the database together.
//!
//! A statement costs a trip to the server and a commit a sync of its disk, whatever is in it. While one group is on its
//! way the next one gathers; nobody waits for a timer.

use futures::future::BoxFuture;
use sutazai_core::{Error, Result};
use tokio::sync::{mpsc, oneshot};

/// At most so many calls together, so that the first of them does not wait for long.
const GROUP: usize = 256;

/// The way to the one who sends. It ends when the last of these is dropped.
#[derive(Debug)]
pub(super) struct Grouped<I, O> {
    calls: mpsc::Sender<Call<I, O>>,
}

#[derive(Debug)]
struct Call<I, O> {
    input: I,
    reply: oneshot::Sender<Result<O>>,
}

impl<I: Send + 'static, O: Send + 'static> Grouped<I, O> {
    /// Starts it; `work` gives one answer for each input, in order.
    pub(super) fn start(
        work: impl Fn(Vec<I>) -> BoxFuture<'static, Vec<Result<O>>> + Send + Sync + 'static,
    ) -> Self {
        let (calls, mut waiting) = mpsc::channel::<Call<I, O>>(GROUP);
        tokio::spawn(async move {
            let mut group = Vec::with_capacity(GROUP);
            while waiting.recv_many(&mut group, GROUP).await > 0 {
                let (inputs, replies): (Vec<_>, Vec<_>) =
                    group.drain(..).map(|call| (call.input, call.reply)).unzip();
                for (reply, outcome) in replies.into_iter().zip(work(inputs).await) {
                    // If nobody waits for the answer any more, what was done stands all the same.
                    let _ = reply.send(outcome);
                }
            }
        });
        Self { calls }
    }

    /// Sends one input with those of others.
    pub(super) async fn call(&self, input: I) -> Result<O> {
        let gone = || Error::unavailable("the runtime that the store was opened in has ended");
        let (reply, answer) = oneshot::channel();
        self.calls.send(Call { input, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
