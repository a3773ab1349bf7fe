//! The gate in front of a model under thousands of orders in which its callers may come, get their turn, and go away:
//! `shuttle` runs them on a scheduler of its own and finds who waits for ever.
//!
//! This is the one structure made by hand in which several locks' worth of state is handed from caller to caller. What
//! else is shared is either behind one lock that is never held while waiting, where every order is one of whole calls, or
//! a channel of tokio.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::future::{Either, select};
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::rand::{Rng, thread_rng};
use sutazai_core::domain::{Caller, Constraint, Embeddings, GenerateRequest, ModelInfo, UserId, UserRole};
use sutazai_core::model_gate::{ModelGate, ModelGateConfig};
use sutazai_core::ports::{ModelBackend, ModelStream};
use sutazai_core::testing::ManualClock;
use sutazai_core::{Error, ErrorKind, Result};

const SLOTS: usize = 2;
const CALLERS: u64 = 7;

/// Works for a while and counts how much it has to do at once.
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

/// So long that others may do something meanwhile.
async fn a_while() {
    for _ in 0..thread_rng().gen_range(0..4) {
        yield_now().await;
    }
}

/// One caller; every second one may go away before it has its answer. Whether it got one, none for who went away.
async fn call(gate: ModelGate, n: u64) -> Option<Result<()>> {
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
        // Fewer may wait than come: some are refused.
        let config = ModelGateConfig { slots: Some(SLOTS), queue: 3, ..ModelGateConfig::default() };
        let gate = ModelGate::new(model.clone(), Arc::new(ManualClock::new()), &config);
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
        // Every slot was given back: with a full house once more, all get through.
        let again: Vec<_> = (0..SLOTS + 3).map(|_| spawn(call(gate.clone(), 0))).collect();
        for caller in again {
            caller.await.unwrap().unwrap().unwrap();
        }
    });
}

#[test]
fn every_order_of_coming_and_going_leaves_the_gate_as_it_was() {
    shuttle::check_random(crowd, 3_000);
}

#[test]
fn rare_orders_too() {
    shuttle::check_pct(crowd, 3_000, 3);
}
