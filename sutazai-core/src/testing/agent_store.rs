//! Conformance suite of the port [`AgentStore`].

use std::future::Future;
use std::sync::Arc;

use chrono::{DateTime, TimeZone, Utc};
use futures::future::join_all;

use crate::ports::AgentStore;

/// Runs every check of the contract, each against an empty store of its own.
pub async fn run_all<S, F>(make: impl Fn() -> F)
where
    S: AgentStore + ?Sized,
    F: Future<Output = Arc<S>>,
{
    recorded_heartbeats_are_returned(&*make().await).await;
    latest_time_applies(&*make().await).await;
}

/// `last_heartbeats` returns the time recorded by `record_heartbeats` for each agent, in the given order, and `None` for an agent without
/// one.
pub async fn recorded_heartbeats_are_returned<S: AgentStore + ?Sized>(store: &S) {
    let all = names(&["upper", "actor", "echo"]);
    assert_eq!(store.last_heartbeats(&all).await.unwrap(), [None, None, None]);
    store.record_heartbeats(&all[..2], at(1)).await.unwrap();
    store.record_heartbeats(&all[1..2], at(2)).await.unwrap();
    assert_eq!(store.last_heartbeats(&all).await.unwrap(), [Some(at(1)), Some(at(2)), None]);
    let backward = names(&["echo", "actor", "upper", "actor"]);
    assert_eq!(
        store.last_heartbeats(&backward).await.unwrap(),
        [None, Some(at(2)), Some(at(1)), Some(at(2))]
    );
    store.record_heartbeats(&[], at(3)).await.unwrap();
    assert_eq!(store.last_heartbeats(&[]).await.unwrap(), []);
}

/// The latest of all recorded times of an agent counts, in whichever order they were recorded.
pub async fn latest_time_applies<S: AgentStore + ?Sized>(store: &S) {
    let (forward, backward) = (names(&["actor", "echo", "upper"]), names(&["upper", "echo", "actor"]));
    let told = (0..20).map(|second| {
        let agents = if second % 2 == 0 { &forward } else { &backward };
        store.record_heartbeats(agents, at((second * 7) % 20))
    });
    join_all(told).await.into_iter().for_each(|told| told.unwrap());
    store.record_heartbeats(&forward, at(3)).await.unwrap();
    assert_eq!(store.last_heartbeats(&forward).await.unwrap(), [Some(at(19)); 3]);
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).into()).collect()
}

fn at(seconds: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_767_225_600 + seconds, 123_456_000).unwrap()
}
