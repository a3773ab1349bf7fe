//! The suite of [`RelayStore`].

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use futures::future::join_all;

use crate::domain::{EventPosition, WorkerId};
use crate::error::ErrorKind;
use crate::ports::{RelayClaim, RelayStore};

const LEASE: Duration = Duration::from_secs(15);
const BEGIN: EventPosition = EventPosition(7);
/// As large as positions get.
const FAR: EventPosition = EventPosition((u64::MAX as u128) << 64 | 5);

/// Every bullet of the contract; `fresh` gives a store that nobody has held the relay of.
pub async fn run_all<S, F>(fresh: impl Fn() -> F)
where
    S: RelayStore + ?Sized,
    F: Future<Output = Arc<S>>,
{
    it_begins_once_and_goes_on(&*fresh().await).await;
    one_of_several_holds(&*fresh().await).await;
    another_holds_after_the_lease_or_when_it_was_let_go(&*fresh().await).await;
    only_who_holds_advances(&*fresh().await).await;
}

/// The first `hold` ever begins at the position that it names; every later one goes on where `advance` was last.
pub async fn it_begins_once_and_goes_on<S: RelayStore + ?Sized>(store: &S) {
    let claim = claim(0);
    assert_eq!(store.hold(&claim, BEGIN).await.unwrap(), Some(BEGIN));
    assert_eq!(store.hold(&claim, FAR).await.unwrap(), Some(BEGIN));
    store.advance(&claim, FAR).await.unwrap();
    assert_eq!(store.hold(&claim, BEGIN).await.unwrap(), Some(FAR));
}

/// Of several who ask one holds; it may hold again, which prolongs its lease, and others may not.
pub async fn one_of_several_holds<S: RelayStore + ?Sized>(store: &S) {
    let claims: Vec<RelayClaim> = (0..10).map(|_| claim(0)).collect();
    let held = join_all(claims.iter().map(|claim| store.hold(claim, BEGIN))).await;
    let held: Vec<bool> = held.into_iter().map(|held| held.unwrap().is_some()).collect();
    assert_eq!(held.iter().filter(|held| **held).count(), 1, "{held:?}");
    let (ours, other) = (held.iter().position(|held| *held).unwrap(), held.iter().position(|held| !held));
    let (ours, other) = (claims[ours], claims[other.unwrap()]);
    assert!(store.hold(&later(ours, 10), BEGIN).await.unwrap().is_some());
    assert_eq!(store.hold(&later(other, 20), BEGIN).await.unwrap(), None);
}

/// When the lease has run out, or was let go, another may hold, from where the one before it was.
pub async fn another_holds_after_the_lease_or_when_it_was_let_go<S: RelayStore + ?Sized>(store: &S) {
    let (first, second, third) = (claim(0), claim(0), claim(0));
    store.hold(&first, BEGIN).await.unwrap();
    store.advance(&first, EventPosition(20)).await.unwrap();
    assert_eq!(store.hold(&later(second, 14), BEGIN).await.unwrap(), None);
    assert_eq!(store.hold(&later(second, 16), BEGIN).await.unwrap(), Some(EventPosition(20)));
    store.let_go(third.holder).await.unwrap();
    assert_eq!(store.hold(&later(third, 17), BEGIN).await.unwrap(), None);
    store.let_go(second.holder).await.unwrap();
    assert_eq!(store.hold(&later(third, 18), BEGIN).await.unwrap(), Some(EventPosition(20)));
}

/// `advance` by who holds moves the position and prolongs the lease; by anybody else it is `Conflict` and changes nothing.
pub async fn only_who_holds_advances<S: RelayStore + ?Sized>(store: &S) {
    let (first, second) = (claim(0), claim(0));
    let refused = async |claim: &RelayClaim| {
        let refused = store.advance(claim, FAR).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
    };
    refused(&first).await;
    store.hold(&first, BEGIN).await.unwrap();
    store.advance(&later(first, 10), EventPosition(8)).await.unwrap();
    refused(&second).await;
    assert_eq!(store.hold(&later(second, 20), BEGIN).await.unwrap(), None);
    assert_eq!(store.hold(&later(second, 26), BEGIN).await.unwrap(), Some(EventPosition(8)));
    refused(&first).await;
    assert_eq!(store.hold(&later(second, 27), BEGIN).await.unwrap(), Some(EventPosition(8)));
}

fn claim(seconds: i64) -> RelayClaim {
    RelayClaim { holder: WorkerId::new(), lease: LEASE, now: at(seconds) }
}

fn later(claim: RelayClaim, seconds: i64) -> RelayClaim {
    RelayClaim { now: at(seconds), ..claim }
}

fn at(seconds: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_767_225_600 + seconds, 0).unwrap()
}
