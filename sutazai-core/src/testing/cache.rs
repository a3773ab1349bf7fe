//! Conformance suite of the port [`Cache`].

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use uuid::Uuid;

use crate::ports::Cache;

const TTL: Duration = Duration::from_secs(60);
const SHORT_TTL: Duration = Duration::from_millis(200);
const MARGIN: Duration = Duration::from_millis(50);

/// Runs every check of the contract; `pass` advances the clock of the cache. Keys of earlier runs may still exist.
pub async fn run_all<C: Cache + ?Sized>(cache: Arc<C>, pass: impl AsyncFn(Duration)) {
    get_gives_what_was_put_last(&*cache).await;
    value_expires_after_its_lifetime(&*cache, &pass).await;
    put_begins_a_new_lifetime(&*cache, &pass).await;
    add_keeps_what_is_there(&*cache, &pass).await;
    one_of_several_additions_wins(&*cache).await;
}

/// `get` returns the value stored last under this key, unchanged, and `None` under another key.
pub async fn get_gives_what_was_put_last<C: Cache + ?Sized>(cache: &C) {
    let key = key();
    assert_eq!(cache.get(&key).await.unwrap(), None);
    for value in ["first", "", "a \u{0}\r\n$5 \u{10ffff}\"", &"long ".repeat(100_000)] {
        cache.put(&key, value, TTL).await.unwrap();
        assert_eq!(cache.get(&key).await.unwrap().as_deref(), Some(value));
    }
    assert_eq!(cache.get(&format!("{key}:more")).await.unwrap(), None);
}

/// A value expires after its time to live, and not before.
pub async fn value_expires_after_its_lifetime<C: Cache + ?Sized>(cache: &C, pass: &impl AsyncFn(Duration)) {
    let (short, long) = (key(), key());
    cache.put(&long, "long", TTL).await.unwrap();
    cache.put(&short, "short", SHORT_TTL).await.unwrap();
    assert_eq!(cache.get(&short).await.unwrap().as_deref(), Some("short"));
    pass(SHORT_TTL + MARGIN).await;
    assert_eq!(cache.get(&short).await.unwrap(), None);
    assert_eq!(cache.get(&long).await.unwrap().as_deref(), Some("long"));
}

/// `put` replaces an existing value and starts a new time to live.
pub async fn put_begins_a_new_lifetime<C: Cache + ?Sized>(cache: &C, pass: &impl AsyncFn(Duration)) {
    let key = key();
    cache.put(&key, "old", SHORT_TTL).await.unwrap();
    cache.put(&key, "new", TTL).await.unwrap();
    pass(SHORT_TTL + MARGIN).await;
    assert_eq!(cache.get(&key).await.unwrap().as_deref(), Some("new"));
}

/// `add` keeps an existing value with its time to live, and otherwise works as `put`.
pub async fn add_keeps_what_is_there<C: Cache + ?Sized>(cache: &C, pass: &impl AsyncFn(Duration)) {
    let key = key();
    cache.put(&key, "old", SHORT_TTL).await.unwrap();
    cache.add(&key, "new", TTL).await.unwrap();
    assert_eq!(cache.get(&key).await.unwrap().as_deref(), Some("old"));
    pass(SHORT_TTL + MARGIN).await;
    assert_eq!(cache.get(&key).await.unwrap(), None);
    cache.add(&key, "new", TTL).await.unwrap();
    assert_eq!(cache.get(&key).await.unwrap().as_deref(), Some("new"));
}

/// Of several concurrent calls of `add` exactly one is effective.
pub async fn one_of_several_additions_wins<C: Cache + ?Sized>(cache: &C) {
    let key = key();
    let add = async |value: usize| {
        cache.add(&key, &value.to_string(), TTL).await.unwrap();
        cache.get(&key).await.unwrap()
    };
    let seen = join_all((0..20).map(add)).await;
    assert!(seen[0].is_some() && seen.iter().all(|one| *one == seen[0]), "{seen:?}");
}

fn key() -> String {
    format!("test:{}", Uuid::now_v7())
}
