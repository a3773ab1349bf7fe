//! Calls that are made at the same time, sent to the database together.
//!
//! A statement costs a trip to the server and a commit a sync of its disk, whatever is in it. While one group is on its
//! way the next one gathers; nobody waits for a timer, and nobody joins a group that is on its way already.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use futures::future::BoxFuture;
use sutazai_core::{Error, Result};
use tokio::sync::{Mutex, mpsc, oneshot};

/// The way to those who send. They end when the last of these is dropped.
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
    /// Starts it: at most so many groups under way at once, each of at most so many calls; `work` gives one answer for
    /// each input, in order.
    pub(super) fn start(
        lanes: usize,
        size: usize,
        work: impl Fn(Vec<I>) -> BoxFuture<'static, Vec<Result<O>>> + Clone + Send + Sync + 'static,
    ) -> Self {
        let (calls, waiting) = mpsc::channel::<Call<I, O>>(size);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..lanes {
            tokio::spawn(send(waiting.clone(), size, work.clone()));
        }
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

/// One group after the other, each of whoever waits when it sets out.
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
            // If nobody waits for the answer any more, what was done stands all the same.
            let _ = reply.send(outcome);
        }
    }
}

/// The answer to each of `asked`, in order; those who asked for the same get the same.
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
