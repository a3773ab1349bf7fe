//! Several servers and workers over one database: batched writes, wake-ups between processes, contended task
//! families.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use sqlx::{Connection, PgConnection};
use sutazai_core::ErrorKind;
use sutazai_core::domain::{
    Claim, ClaimKey, ConcurrencyLimits, InstanceId, NewTask, Outcome, OutcomeRecord, Task, TaskStatus, UserId,
};
use sutazai_core::ports::{ClaimRequest, Clock, SystemClock, TaskStore, WakeUp};
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use crate::place::database;

fn task(n: u32) -> Task {
    Task::pending(NewTask::new("echo", json!({ "n": n })), None, None, SystemClock.now())
}

fn request(limit: u32) -> ClaimRequest {
    let lease = Duration::from_secs(30);
    ClaimRequest {
        worker: InstanceId::new(),
        agents: vec!["echo".into()],
        limit,
        lease,
        now: SystemClock.now(),
        limits: ConcurrencyLimits::default(),
        after: None,
    }
}

fn completed(claim: &Claim) -> OutcomeRecord {
    OutcomeRecord { claim: claim.key(), outcome: Outcome::Completed(json!({})) }
}

async fn open(url: &str) -> Arc<dyn TaskStore> {
    sutazai_store::open(url).await.unwrap().tasks
}

/// Waits until this wake-up is received.
async fn receive(wake_ups: &mut Receiver<WakeUp>, wanted: WakeUp) {
    let received = async { while wake_ups.recv().await.unwrap() != wanted {} };
    timeout(Duration::from_secs(5), received).await.expect("the wake-up must be received within 5 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_write_of_a_batch_affects_no_other() {
    let store = open(&database().await).await;
    let known = store.enqueue(vec![task(0)]).await.unwrap().remove(0);
    let writes = (1..=400).map(|n| {
        let (store, known) = (store.clone(), known.clone());
        // Every tenth batch has a new task and an existing one: neither may be stored.
        let batch = if n % 10 == 0 { vec![task(n), known] } else { vec![task(n)] };
        tokio::spawn(async move { (batch[0].id, store.enqueue(batch).await) })
    });
    let mut good = 0;
    for write in writes.collect::<Vec<_>>() {
        let (id, outcome) = write.await.unwrap();
        let kept = store.get(id).await.unwrap();
        match outcome {
            Ok(stored) => {
                good += 1;
                assert_eq!(stored, [kept.expect("an acknowledged task must be stored")]);
            }
            Err(e) => {
                assert_eq!(e.kind(), ErrorKind::Conflict, "{e}");
                assert!(kept.is_none(), "a rejected task must not be stored");
            }
        }
    }
    assert_eq!(good, 360);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_submissions_with_an_idempotency_key_create_one_task() {
    let url = database().await;
    let stores = [open(&url).await, open(&url).await];
    let asked = (0..40).map(|n| {
        let store = stores[n % 2].clone();
        let task = Task { idempotency_key: Some(format!("key-{}", n / 20)), ..task(0) };
        tokio::spawn(async move { store.enqueue(vec![task]).await.unwrap().remove(0).id })
    });
    let ids: HashSet<_> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(ids.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_submissions_with_a_deduplication_key_create_one_task() {
    let url = database().await;
    let stores = [open(&url).await, open(&url).await, open(&url).await];
    let keyed = |n: usize| Task { unique_key: Some(format!("key-{}", n % 5)), ..task(n as u32) };
    for round in 1..=10 {
        let asked = (0..60).map(|n| {
            let store = stores[n % 3].clone();
            // Single tasks, and batches that use the keys in different orders.
            let batch = if n % 2 == 0 { vec![keyed(n)] } else { (n..n + 5).map(keyed).collect() };
            tokio::spawn(async move { store.enqueue(batch).await.unwrap() })
        });
        let given: Vec<Task> = join_all(asked).await.into_iter().flat_map(Result::unwrap).collect();
        let ids: HashSet<_> = given.iter().map(|task| task.id).collect();
        assert_eq!(ids.len(), 5, "round {round}");
        for id in ids {
            stores[0].cancel(id, SystemClock.now()).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_while_eight_stores_claim_concurrently() {
    let url = database().await;
    let [ada, eve] = [(); 2].map(|()| Some(UserId::new()));
    let limits = ConcurrencyLimits { per_owner: Some(4), per_agent: [("echo".to_owned(), 6)].into() };
    let tasks: Vec<Task> =
        (0..900).map(|n| Task { owner: [ada, eve, None][n % 3], ..task(n as u32) }).collect();
    open(&url).await.enqueue(tasks).await.unwrap();
    let held: Arc<Mutex<HashMap<Option<UserId>, u32>>> = Arc::default();
    let workers = (0..8).map(|n| {
        let (url, held, limits) = (url.clone(), held.clone(), limits.clone());
        tokio::spawn(async move {
            let store = open(&url).await;
            let (mut after, mut done, mut idle) = (None, 0, 0);
            while idle < 200 {
                let request = ClaimRequest { limits: limits.clone(), after, ..request(n % 5 + 1) };
                let claims = store.claim(&request).await.unwrap();
                idle = if claims.is_empty() { idle + 1 } else { 0 };
                after = claims.last().map_or(after, |claim| claim.task.owner);
                {
                    let mut held = held.lock().unwrap();
                    claims.iter().for_each(|claim| *held.entry(claim.task.owner).or_default() += 1);
                    assert!(held.values().all(|count| *count <= 4), "{held:?}");
                    assert!(held.values().sum::<u32>() <= 6, "{held:?}");
                }
                SystemClock.sleep(Duration::from_millis(1)).await;
                // Released before the outcomes are recorded, since other claims may count on the capacity
                // from then on.
                claims
                    .iter()
                    .for_each(|claim| *held.lock().unwrap().get_mut(&claim.task.owner).unwrap() -= 1);
                done += claims.len();
                store
                    .record_outcomes(claims.iter().map(completed).collect(), SystemClock.now())
                    .await
                    .unwrap();
            }
            done
        })
    });
    let done: usize = join_all(workers).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(done, 900);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_store_is_woken_by_every_change() {
    let url = database().await;
    let (here, there) = (open(&url).await, open(&url).await);
    let mut heard = there.subscribe();
    // The other store has started to listen once it receives a wake-up.
    let mut before = 100;
    while timeout(Duration::from_millis(300), heard.recv()).await.is_err() {
        here.enqueue(vec![task(before)]).await.unwrap();
        before += 1;
    }
    while timeout(Duration::from_millis(300), heard.recv()).await.is_ok() {}
    let id = here.enqueue(vec![task(1)]).await.unwrap()[0].id;
    let mut received = Vec::new();
    for _ in 0..2 {
        let one = timeout(Duration::from_secs(5), heard.recv()).await;
        received.push(one.expect("the wake-up must be received within 5 s").unwrap());
    }
    assert_eq!(received, [WakeUp::Queue, WakeUp::Task(id)]);
    let claim = here.claim(&request(1)).await.unwrap().remove(0);
    receive(&mut heard, WakeUp::Task(claim.task.id)).await;
    here.record_outcomes(vec![completed(&claim)], SystemClock.now()).await.unwrap().remove(0).unwrap();
    receive(&mut heard, WakeUp::Task(claim.task.id)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_claims_never_return_the_same_task() {
    let url = database().await;
    let stores = join_all((0..4).map(|_| open(&url))).await;
    stores[0].enqueue((0..2_000).map(task).collect()).await.unwrap();
    let workers = (0..12).map(|n| {
        let store = stores[n % 4].clone();
        tokio::spawn(async move {
            let mut ids = Vec::new();
            loop {
                let claims = store.claim(&request(7)).await.unwrap();
                if claims.is_empty() {
                    return ids;
                }
                ids.extend(claims.iter().map(|claim| claim.task.id));
                let finished = claims.iter().map(completed).collect();
                let answers = store.record_outcomes(finished, SystemClock.now()).await.unwrap();
                assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            }
        })
    });
    let ids: Vec<_> = join_all(workers).await.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(ids.len(), 2_000);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 2_000, "a task was claimed twice");
}

/// Siblings end, parents are cancelled and leases are renewed all at once: every transaction locks rows that
/// others want in another order.
#[tokio::test(flavor = "multi_thread")]
async fn renewals_and_outcomes_never_deadlock() {
    const TASKS: usize = 3_000;
    let url = database().await;
    let store = open(&url).await;
    store.enqueue((0..TASKS as u32).map(task).collect()).await.unwrap();
    let mut held = store.claim(&request(TASKS as u32)).await.unwrap();
    assert_eq!(held.len(), TASKS);
    while !held.is_empty() {
        // The order of the claims must not matter: a process holds them in none.
        held.reverse();
        let keys: Vec<ClaimKey> = held.iter().map(Claim::key).collect();
        let ended: Vec<OutcomeRecord> =
            held.drain(..held.len().min(300)).rev().map(|claim| completed(&claim)).collect();
        let now = SystemClock.now();
        let renew = store.renew(&keys, now + Duration::from_secs(30), now);
        let (renewed, recorded) = tokio::join!(renew, store.record_outcomes(ended, now));
        assert_eq!(renewed.unwrap().len(), keys.len());
        assert!(recorded.unwrap().iter().all(Result::is_ok));
    }
    // Connections report their statistics when they are closed.
    drop(store);
    let mut look = PgConnection::connect(&url).await.unwrap();
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while sqlx::query_scalar::<_, i64>(others).fetch_one(&mut look).await.unwrap() > 0 {
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(sqlx::query_scalar::<_, i64>(deadlocks).fetch_one(&mut look).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn contended_task_families_end() {
    let url = database().await;
    let stores = join_all((0..3).map(|_| open(&url))).await;
    let parents = stores[0].enqueue((0..30).map(task).collect()).await.unwrap();
    let claims = stores[0].claim(&request(30)).await.unwrap();
    let wait = |claim: &Claim| OutcomeRecord {
        claim: claim.key(),
        outcome: Outcome::wait_for_all((0..8).map(task).collect(), json!(1)),
    };
    let waits =
        stores[0].record_outcomes(claims.iter().map(wait).collect(), SystemClock.now()).await.unwrap();
    assert!(waits.iter().all(Result::is_ok), "{waits:?}");
    let children = stores[1].claim(&request(240)).await.unwrap();
    assert_eq!(children.len(), 240);

    let mut calls = Vec::new();
    for (n, part) in children.chunks(9).enumerate() {
        let (store, part) = (stores[n % 3].clone(), part.to_vec());
        calls.push(tokio::spawn(async move {
            let keys: Vec<_> = part.iter().rev().map(Claim::key).collect();
            let until = SystemClock.now() + Duration::from_secs(60);
            store.renew(&keys, until, SystemClock.now()).await.unwrap();
            let finished = part.iter().rev().map(completed).collect();
            let answers = store.record_outcomes(finished, SystemClock.now()).await.unwrap();
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        }));
    }
    for (n, parent) in parents.iter().enumerate().filter(|(n, _)| n % 3 == 0) {
        let (store, id) = (stores[(n + 1) % 3].clone(), parent.id);
        calls.push(tokio::spawn(async move {
            store.cancel(id, SystemClock.now()).await.unwrap();
        }));
    }
    for call in calls {
        call.await.unwrap();
    }
    let due = stores[2].claim(&request(100)).await.unwrap();
    assert_eq!(due.len(), 20, "the parents that were not cancelled are due");
    assert!(due.iter().all(|claim| claim.children.len() == 8));
    for parent in parents.iter().step_by(3) {
        assert_eq!(stores[2].get(parent.id).await.unwrap().unwrap().status, TaskStatus::Cancelled);
    }
}
