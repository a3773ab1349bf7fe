//! Admission control under thousands of interleavings in which its callers may arrive, be granted a slot and
//! disconnect: `shuttle` runs them on a scheduler of its own and finds callers that wait forever.
//!
//! This is the only hand-written structure that passes state protected by several locks from caller to caller.
//! Everything else that is shared is either behind one lock that is never held across an await, so that only the order
//! of whole calls matters, or a Tokio channel.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::future::{Either, select};
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};
use sutazai_core::admission_control::{AdmissionControl, AdmissionControlConfig};
use sutazai_core::domain::{Caller, Constraint, Embeddings, GenerateRequest, ModelInfo, UserId, UserRole};
use sutazai_core::ports::{ModelBackend, ModelStream};
use sutazai_core::testing::ManualClock;
use sutazai_core::{Error, ErrorKind, Result};

const SLOTS: usize = 2;
const CALLERS: u64 = 7;

/// Model that works for a while and counts its concurrent calls.
#[derive(Debug, Default)]
struct Model {
    running: AtomicUsize,
    done: AtomicUsize,
}

struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl ModelBackend for Model {
    fn name(&self) -> &str {
        "model"
    }

    fn supports(&self, _: &Constraint) -> bool {
        false
    }

    async fn models(&self) -> Result<Vec<ModelInfo>> {
        Ok(Vec::new())
    }

    async fn generate(&self, _: GenerateRequest) -> Result<ModelStream> {
        Err(Error::unsupported("it only embeds"))
    }

    async fn embed(&self, _: Option<String>, _: &[String]) -> Result<Embeddings> {
        let _running = Running(&self.running);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(running <= SLOTS, "{running} reached the model at once");
        a_while().await;
        self.done.fetch_add(1, Ordering::SeqCst);
        let (backend, model) = ("model".to_owned(), "model".to_owned());
        Ok(Embeddings { backend, model, vectors: Vec::new(), prompt_tokens: None })
    }
}

/// Yields a random number of times, so that other callers can run.
async fn a_while() {
    for _ in 0..thread_rng().gen_range(0..4) {
        yield_now().await;
    }
}

/// Runs one caller, every second of which may disconnect before its answer. Returns the answer, or `None` after a
/// disconnect.
async fn call(gate: AdmissionControl, n: u64) -> Option<Result<()>> {
    a_while().await;
    let model = match n % 3 {
        0 => gate.model_for_task(None),
        _ => gate.model_for(&Caller::User { id: UserId::new(), role: UserRole::User }),
    };
    let asking = model.embed(None, &[]);
    if n.is_multiple_of(2) {
        return Some(asking.await.map(drop));
    }
    match select(asking, Box::pin(a_while())).await {
        Either::Left((answer, _)) => Some(answer.map(drop)),
        Either::Right(_) => None,
    }
}

fn crowd() {
    block_on(async {
        let model = Arc::new(Model::default());
        // The queue is shorter than the number of callers, so some are rejected.
        let config =
            AdmissionControlConfig { slots: Some(SLOTS), queue: 3, ..AdmissionControlConfig::default() };
        let gate = AdmissionControl::new(model.clone(), Arc::new(ManualClock::new()), &config);
        let callers: Vec<_> = (0..CALLERS).map(|n| spawn(call(gate.clone(), n))).collect();
        let mut answered = 0;
        for caller in callers {
            match caller.await.unwrap() {
                Some(Ok(())) => answered += 1,
                Some(Err(e)) => assert_eq!(e.kind(), ErrorKind::Busy, "{e}"),
                None => {}
            }
        }
        assert!(model.done.load(Ordering::SeqCst) >= answered);
        assert_eq!(model.running.load(Ordering::SeqCst), 0, "somebody has gone and the model works on");
        // Every slot was released: a second crowd that fills the queue is served completely.
        let again: Vec<_> = (0..SLOTS + 3).map(|_| spawn(call(gate.clone(), 0))).collect();
        for caller in again {
            caller.await.unwrap().unwrap().unwrap();
        }
    });
}

#[test]
fn random_interleavings_leak_no_slot() {
    shuttle::check_random(crowd, 3_000);
}

#[test]
fn rare_interleavings_leak_no_slot() {
    shuttle::check_pct(crowd, 3_000, 3);
}
