//! Request batcher: sends calls that are made at the same time to the database together.
//!
//! A statement costs a round trip to the server and a commit costs a sync of its disk, whatever their size.
//! While one batch is being processed the next one gathers. No call waits for a timer, which would add
//! latency when there is little to do, and no call joins a batch that was sent already. A timer would be right
//! if batches were sent by many processes at once and the number of statements, not their latency, were the
//! limit of the database.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use futures::future::BoxFuture;
use sutazai_core::{Error, Result};
use tokio::sync::{Mutex, mpsc, oneshot};

/// Handle for submitting calls; the sending tasks end when the last handle is dropped.
#[derive(Debug)]
pub(super) struct RequestBatcher<I, O> {
    calls: mpsc::Sender<Call<I, O>>,
}

#[derive(Debug)]
struct Call<I, O> {
    input: I,
    reply: oneshot::Sender<Result<O>>,
}

impl<I: Send + 'static, O: Send + 'static> RequestBatcher<I, O> {
    /// Starts `partitions` sending tasks, each with at most one batch of `size` calls in flight. `work` returns
    /// one result per input, in order.
    pub(super) fn start(
        partitions: usize,
        size: usize,
        work: impl Fn(Vec<I>) -> BoxFuture<'static, Vec<Result<O>>> + Clone + Send + Sync + 'static,
    ) -> Self {
        let (calls, waiting) = mpsc::channel::<Call<I, O>>(size);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..partitions {
            tokio::spawn(send(waiting.clone(), size, work.clone()));
        }
        Self { calls }
    }

    /// Submits one input and waits for its result.
    ///
    /// # Errors
    /// Those of `work`; `Unavailable` when the runtime has shut down.
    pub(super) async fn call(&self, input: I) -> Result<O> {
        let ended = || Error::unavailable("the runtime that the store was opened in has ended");
        let (reply, answer) = oneshot::channel();
        self.calls.send(Call { input, reply }).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

/// Sends one batch after the other, each of all calls that are waiting by then.
async fn send<I: Send, O: Send>(
    waiting: Arc<Mutex<mpsc::Receiver<Call<I, O>>>>,
    size: usize,
    work: impl Fn(Vec<I>) -> BoxFuture<'static, Vec<Result<O>>> + Send,
) {
    let mut group = Vec::with_capacity(size);
    while waiting.lock().await.recv_many(&mut group, size).await > 0 {
        let (inputs, replies): (Vec<_>, Vec<_>) =
            group.drain(..).map(|call| (call.input, call.reply)).unzip();
        for (reply, outcome) in replies.into_iter().zip(work(inputs).await) {
            // The caller may be gone; what was done for it is committed all the same.
            let _ = reply.send(outcome);
        }
    }
}

/// Distributes the answers to `asked`, in order; equal keys get clones of the same answer.
pub(super) fn shared<K: Hash + Eq, V: Clone>(asked: &[K], mut answers: HashMap<K, V>) -> Vec<Option<V>> {
    let mut left: HashMap<&K, usize> = HashMap::with_capacity(asked.len());
    for key in asked {
        *left.entry(key).or_default() += 1;
    }
    let mut next = |key| match left.get_mut(key) {
        Some(others @ 2..) => {
            *others -= 1;
            answers.get(key).cloned()
        }
        _ => answers.remove(key),
    };
    asked.iter().map(&mut next).collect()
}
