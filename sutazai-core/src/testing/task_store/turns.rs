//! Checks about fairness: round-robin across owners, and concurrency limits.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::join_all;
use serde_json::json;

use super::stage::{at, record_outcomes, request, task, task_with};
use crate::domain::{Claim, ConcurrencyLimits, Outcome, Task, UserId};
use crate::ports::{ClaimRequest, TaskStore};

/// Creates owners in the order of their keys.
fn owners<const N: usize>() -> [Option<UserId>; N] {
    let mut owners = [(); N].map(|()| Some(UserId::new()));
    owners.sort_unstable();
    owners
}

fn owners_of(claims: &[Claim]) -> Vec<Option<UserId>> {
    claims.iter().map(|claim| claim.task.owner).collect()
}

/// Claiming is round-robin across owners in the order of their keys, starting after `after`, one task per owner and
/// round, until `limit` is reached or nothing is due; tasks without an owner form one owner that comes first.
pub async fn claims_are_round_robin_across_owners(store: Arc<dyn TaskStore>) {
    let [ada, bob, eve] = owners();
    let many = |owner, count| (0..count).map(move |_| task_with(|_| {}, owner));
    let idle = Task { run_at: at(100), ..task_with(|_| {}, bob) };
    let urgent = Task { priority: 9, agent: "upper".into(), ..task_with(|_| {}, ada) };
    let tasks = many(ada, 2_000).chain(many(eve, 5)).chain(many(None, 3)).chain([idle, urgent.clone()]);
    store.enqueue(tasks.collect()).await.unwrap();

    let turn = |limit, after| ClaimRequest {
        agents: vec!["echo".into(), "upper".into()],
        after,
        ..request(limit, 1)
    };
    // One claim after the other with a limit of 1.
    let mut after = eve;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let claims = store.claim(&turn(1, after)).await.unwrap();
        after = claims[0].task.owner;
        seen.extend(claims);
    }
    assert_eq!(owners_of(&seen), [None, ada, eve, None]);
    assert_eq!(seen[1].task.id, urgent.id, "what is urgent comes first among the tasks of its owner");
    // Several per claim: the rotation goes round more than once, and on when an owner has no more tasks.
    let claims = store.claim(&turn(4, ada)).await.unwrap();
    assert_eq!(owners_of(&claims), [eve, None, ada, eve]);
    let claims = store.claim(&turn(500, bob)).await.unwrap();
    assert_eq!(owners_of(&claims[..4]), [eve, ada, eve, ada]);
    assert!(owners_of(&claims[4..]).iter().all(|owner| *owner == ada));
    assert_eq!(claims.len(), 500, "as many as it may");
    // An owner that comes late with one task waits for one task of each of the others.
    store.enqueue(many(bob, 1).chain(many(eve, 1)).collect()).await.unwrap();
    let claims = store.claim(&turn(3, ada)).await.unwrap();
    assert_eq!(owners_of(&claims), [bob, eve, ada]);
    let claims = store.claim(&turn(3, None)).await.unwrap();
    assert_eq!(owners_of(&claims), [ada, ada, ada]);
    let late = store.claim(&ClaimRequest { after: ada, ..request(2, 100) }).await.unwrap();
    assert_eq!(owners_of(&late), [bob, ada]);

    let crowd: Vec<Task> = (0..700).map(|_| task_with(|_| {}, Some(UserId::new()))).collect();
    store.enqueue(crowd.clone()).await.unwrap();
    let mut after = eve;
    let mut met = HashMap::new();
    for limit in [1, 300, 402] {
        let claims = store.claim(&turn(limit, after)).await.unwrap();
        assert_eq!(claims.len(), limit as usize);
        after = claims.last().and_then(|claim| claim.task.owner);
        claims.iter().for_each(|claim| *met.entry(claim.task.owner).or_insert(0) += 1);
    }
    assert_eq!(met.len(), 701, "everybody of a crowd had a turn");
    assert_eq!(met[&ada], 3);
}

/// No claim exceeds `limits` per owner or agent, also under concurrent claims with the same limits, and every claim
/// uses what they allow.
pub async fn limits_hold(store: Arc<dyn TaskStore>) {
    let [ada, eve] = owners();
    let of = |owner, agent: &str| Task { agent: agent.into(), ..task_with(|_| {}, owner) };
    let tasks = (0..200).flat_map(|_| [of(ada, "echo"), of(ada, "upper"), of(eve, "echo"), of(None, "echo")]);
    store.enqueue(tasks.collect()).await.unwrap();
    let limits = ConcurrencyLimits { per_owner: Some(3), per_agent: [("echo".to_owned(), 4)].into() };
    let limited = || ClaimRequest {
        agents: vec!["echo".into(), "upper".into()],
        limits: limits.clone(),
        ..request(100, 1)
    };
    let racing = join_all((0..8).map(|_| {
        let (store, request) = (store.clone(), limited());
        tokio::spawn(async move { store.claim(&request).await.unwrap() })
    }));
    let mut held: Vec<Claim> = racing.await.into_iter().flat_map(Result::unwrap).collect();
    check(&held, &limits);
    // One of `echo` and two of `upper` are Ada's, two of `echo` are Eve's, and one more of `echo` fits.
    assert_eq!(held.len(), 6, "{:?}", owners_of(&held));
    assert_eq!(store.claim(&limited()).await.unwrap(), [], "everything that is due is held back");
    assert_eq!(store.next_due(&limited().agents).await.unwrap(), Some(at(0)));

    // Every outcome that ends the attempt frees capacity.
    let ways: [fn() -> Outcome; 4] = [
        || Outcome::Completed(json!(1)),
        || Outcome::Released,
        || Outcome::Cancelled,
        || Outcome::wait_for_all(vec![task()], json!(1)),
    ];
    for way in ways {
        let gone = held.remove(0);
        record_outcomes(&*store, &gone, way(), 1).await.unwrap();
        let next = store.claim(&limited()).await.unwrap();
        assert_eq!(next.len(), 1, "{:?}", way());
        held.extend(next);
        check(&held, &limits);
    }
    assert_eq!(store.reap(at(1_000)).await.unwrap(), 6);
    let again = store.claim(&ClaimRequest { now: at(1_000), ..limited() }).await.unwrap();
    check(&again, &limits);
    assert_eq!(again.len(), 6);
    // Each limit on its own.
    for (limits, count) in [
        (ConcurrencyLimits { per_owner: Some(5), ..ConcurrencyLimits::default() }, 9),
        (
            ConcurrencyLimits {
                per_agent: [("upper".to_owned(), 10)].into(),
                ..ConcurrencyLimits::default()
            },
            50,
        ),
    ] {
        let claims = store.claim(&ClaimRequest { limits, limit: 50, ..limited() }).await.unwrap();
        assert_eq!(claims.len(), count);
    }
}

/// Checks that the held claims do not exceed the limits.
fn check(held: &[Claim], limits: &ConcurrencyLimits) {
    let (mut owners, mut agents) = (HashMap::new(), HashMap::new());
    for claim in held {
        *owners.entry(claim.task.owner).or_insert(0) += 1;
        *agents.entry(claim.task.agent.as_str()).or_insert(0) += 1;
    }
    assert!(owners.values().all(|count| limits.per_owner.is_none_or(|most| *count <= most)), "{owners:?}");
    assert!(
        agents.iter().all(|(agent, count)| limits.per_agent.get(*agent).is_none_or(|most| count <= most)),
        "{agents:?}"
    );
}
