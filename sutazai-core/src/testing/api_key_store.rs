//! Conformance suite of the port [`ApiKeyStore`].

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;

use chrono::{DateTime, Duration, TimeZone, Utc};
use futures::future::join_all;

use crate::domain::{ApiKey, ApiKeyId, MAX_API_KEYS, Scope, UserId};
use crate::error::ErrorKind;
use crate::ports::ApiKeyStore;

/// Runs every check of the contract, each against an empty store of its own and two users known to the store.
pub async fn run_all<S, F>(make: impl Fn() -> F)
where
    S: ApiKeyStore + ?Sized,
    F: Future<Output = (Arc<S>, UserId, UserId)>,
{
    let (store, ada, _) = make().await;
    created_key_is_found_by_hash(&*store, ada).await;
    let (store, ada, eve) = make().await;
    second_key_with_the_same_hash_is_a_conflict(&*store, ada, eve).await;
    let (store, ada, eve) = make().await;
    api_keys_gives_one_users_keys(&*store, ada, eve).await;
    let (store, ada, _) = make().await;
    record_use_sets_nothing_else(&*store, ada).await;
    let (store, ada, eve) = make().await;
    delete_removes_a_key_of_this_user(&*store, ada, eve).await;
    let (store, ada, eve) = make().await;
    keys_of_a_user_are_limited(&*store, ada, eve).await;
    let (store, ada, eve) = make().await;
    delete_all_removes_the_keys_of_one_user(&*store, ada, eve).await;
}

/// A created key is found by its hash with all its fields; an unknown hash finds none.
pub async fn created_key_is_found_by_hash<S: ApiKeyStore + ?Sized>(store: &S, ada: UserId) {
    let one = key(ada, 'a');
    let other = ApiKey {
        name: "grüezi 🦀".into(),
        scopes: vec![Scope::MetricsRead],
        requests_per_minute: NonZeroU32::new(30),
        expires_at: Some(at(900)),
        last_used_at: Some(at(3)),
        ..key(ada, 'b')
    };
    store.create(&one).await.unwrap();
    store.create(&other).await.unwrap();
    assert_eq!(store.find(&one.hash).await.unwrap(), Some(one.clone()));
    assert_eq!(store.find(&other.hash).await.unwrap(), Some(other));
    for unknown in ["", &hash('c'), &one.hash[..63], "' OR 1=1 --"] {
        assert_eq!(store.find(unknown).await.unwrap(), None, "{unknown}");
    }
}

/// A second key with the same hash is `Conflict` and changes nothing.
pub async fn second_key_with_the_same_hash_is_a_conflict<S: ApiKeyStore + ?Sized>(
    store: &S,
    ada: UserId,
    eve: UserId,
) {
    let first = key(ada, 'a');
    store.create(&first).await.unwrap();
    assert_eq!(store.create(&key(eve, 'a')).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.find(&first.hash).await.unwrap(), Some(first));
    assert_eq!(store.api_keys(eve).await.unwrap(), []);
}

/// `api_keys` returns the keys of one user, newest first.
pub async fn api_keys_gives_one_users_keys<S: ApiKeyStore + ?Sized>(store: &S, ada: UserId, eve: UserId) {
    let [old, theirs, new] = [key(ada, 'a'), key(eve, 'b'), key(ada, 'c')];
    for key in [&new, &old, &theirs] {
        store.create(key).await.unwrap();
    }
    assert_eq!(store.api_keys(ada).await.unwrap(), [new, old]);
    assert_eq!(store.api_keys(eve).await.unwrap(), [theirs]);
    assert_eq!(store.api_keys(UserId::new()).await.unwrap(), []);
}

/// `record_use` sets the time of the latest use and nothing else, and never moves it back.
pub async fn record_use_sets_nothing_else<S: ApiKeyStore + ?Sized>(store: &S, ada: UserId) {
    let (used, other) = (key(ada, 'a'), key(ada, 'b'));
    store.create(&used).await.unwrap();
    store.create(&other).await.unwrap();
    for (second, latest) in [(70, 70), (60, 70), (90, 90)] {
        store.record_use(used.id, at(second)).await.unwrap();
        let expected = ApiKey { last_used_at: Some(at(latest)), ..used.clone() };
        assert_eq!(store.find(&used.hash).await.unwrap(), Some(expected));
    }
    assert_eq!(store.find(&other.hash).await.unwrap(), Some(other));
    store.record_use(ApiKeyId::new(), at(1)).await.unwrap();
}

/// `delete` removes a key of this user; a key of another user or an unknown one is `NotFound` and stays.
pub async fn delete_removes_a_key_of_this_user<S: ApiKeyStore + ?Sized>(store: &S, ada: UserId, eve: UserId) {
    let (one, other) = (key(ada, 'a'), key(ada, 'b'));
    store.create(&one).await.unwrap();
    store.create(&other).await.unwrap();
    for (user, id) in [(eve, one.id), (ada, ApiKeyId::new())] {
        assert_eq!(store.delete(user, id).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(store.api_keys(ada).await.unwrap().len(), 2, "a refused removal removed something");
    store.delete(ada, one.id).await.unwrap();
    assert_eq!(store.find(&one.hash).await.unwrap(), None);
    assert_eq!(store.delete(ada, one.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.api_keys(ada).await.unwrap(), [other]);
}

/// A user has at most [`MAX_API_KEYS`], also under concurrent creation: one more is `Conflict`.
pub async fn keys_of_a_user_are_limited<S: ApiKeyStore + ?Sized>(store: &S, ada: UserId, eve: UserId) {
    let numbered = |n: u32| ApiKey { hash: format!("{n:064}"), ..key(ada, 'a') };
    for n in 0..MAX_API_KEYS - 5 {
        store.create(&numbered(n)).await.unwrap();
    }
    let more: Vec<ApiKey> = (100..120).map(numbered).collect();
    let outcomes = join_all(more.iter().map(|key| store.create(key))).await;
    let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert_eq!((outcomes.len() - refused.len(), refused.len()), (5, 15), "{outcomes:?}");
    assert!(refused.iter().all(|e| e.kind() == ErrorKind::Conflict), "{refused:?}");
    assert!(refused[0].message().contains("50 API keys"), "{}", refused[0]);
    assert_eq!(store.api_keys(ada).await.unwrap().len(), MAX_API_KEYS as usize);
    store.create(&key(eve, 'e')).await.unwrap();
}

/// `delete_all` removes all keys of one user and returns their number.
pub async fn delete_all_removes_the_keys_of_one_user<S: ApiKeyStore + ?Sized>(
    store: &S,
    ada: UserId,
    eve: UserId,
) {
    let theirs = key(eve, 'c');
    for key in [&key(ada, 'a'), &key(ada, 'b'), &theirs] {
        store.create(key).await.unwrap();
    }
    assert_eq!(store.delete_all(ada).await.unwrap(), 2);
    assert_eq!((store.api_keys(ada).await.unwrap(), store.find(&hash('a')).await.unwrap()), (vec![], None));
    assert_eq!(store.api_keys(eve).await.unwrap(), [theirs]);
    assert_eq!(store.delete_all(ada).await.unwrap(), 0);
}

fn key(user: UserId, letter: char) -> ApiKey {
    ApiKey {
        id: ApiKeyId::new(),
        user,
        name: "backup".into(),
        prefix: "sutz_0123abcd".into(),
        hash: hash(letter),
        scopes: vec![Scope::TasksRead, Scope::TasksWrite],
        requests_per_minute: None,
        created_at: at(0),
        expires_at: None,
        last_used_at: None,
    }
}

/// Returns a text of the length of a SHA-256 in hexadecimal.
fn hash(letter: char) -> String {
    letter.to_string().repeat(64)
}

/// Returns a time in 2026 with a fraction in microseconds, which a store must keep.
fn at(second: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_767_225_600 + second, 0).unwrap() + Duration::microseconds(123_456)
}
