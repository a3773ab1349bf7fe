//! Following the event log of all tasks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use serde_json::json;
use sutazai_core::ErrorKind;
use sutazai_core::domain::{ApiKeyId, Caller, EventLogEntry, EventOffset, NewTask, Scope, UserId, UserRole};
use sutazai_core::engine::{Engine, EventLogStream};
use sutazai_core::memory::MemoryTaskStore;

use super::faulty_task_store::FaultyTaskStore;
use super::stage::{ME, Stage, in_real_time, settle};

const START: Option<EventOffset> = Some(EventOffset(0));

async fn take(events: &mut EventLogStream, count: usize) -> Vec<EventLogEntry> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let next = in_real_time(Duration::from_secs(10), events.next()).await.unwrap();
        taken.push(EventLogEntry::clone(&*next.unwrap().unwrap()));
    }
    taken
}

async fn submit(engine: &Engine, caller: &Caller, count: usize) {
    engine.submit_all_as(caller, vec![NewTask::new("actor", json!({})); count]).await.unwrap();
}

fn user(role: UserRole) -> Caller {
    Caller::User { id: UserId::new(), role }
}

#[tokio::test]
async fn callers_follow_their_own_events_and_resume_anywhere() {
    let stage = Stage::new(1);
    let engine = &stage.engine;
    let (ada, eve, admin) = (user(UserRole::User), user(UserRole::User), user(UserRole::Admin));
    let key = Caller::Key {
        id: ApiKeyId::new(),
        user: ada.owner().unwrap(),
        scopes: vec![Scope::TasksRead],
        requests_per_minute: None,
    };
    submit(engine, &ada, 2).await;
    let mut live = engine.event_log(&ada, None).await.unwrap();
    submit(engine, &eve, 300).await;
    submit(engine, &ada, 3).await;
    submit(engine, &ME, 1).await;
    let seen = take(&mut live.events, 3).await;
    assert!(seen.iter().all(|entry| entry.owner == ada.owner() && entry.position > live.after));
    for (caller, count) in [(&ada, 5), (&eve, 300), (&key, 5), (&admin, 306), (&ME, 306)] {
        let mut all = engine.event_log(caller, START).await.unwrap().events;
        let taken = take(&mut all, count).await;
        assert!(taken.iter().all(|entry| count == 306 || entry.owner == caller.owner()));
        assert!(taken.windows(2).all(|pair| pair[0].position < pair[1].position));
        let middle = &taken[count / 2];
        let mut rest = engine.event_log(caller, Some(middle.position)).await.unwrap().events;
        assert_eq!(take(&mut rest, count - count / 2 - 1).await, taken[count / 2 + 1..]);
    }
    let end = engine.event_log(&ada, None).await.unwrap().after;
    let late = engine.event_log(&ada, Some(EventOffset(end.0 + 1))).await.err().unwrap();
    assert_eq!((late.kind(), late.field()), (ErrorKind::InvalidInput, Some("after")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lagging_subscriber_receives_every_event() {
    let stage = Stage::new(1);
    let (ada, eve) = (user(UserRole::User), user(UserRole::User));
    let logs = join_all((0..20).map(|_| stage.engine.event_log(&ada, None))).await;
    let mut slow = stage.engine.event_log(&ada, None).await.unwrap().events;
    let readers = logs.into_iter().map(|log| {
        let mut events = log.unwrap().events;
        tokio::spawn(async move { take(&mut events, 2_000).await })
    });
    let readers: Vec<_> = readers.collect();
    for _ in 0..200 {
        submit(&stage.engine, &ada, 10).await;
        submit(&stage.engine, &eve, 10).await;
    }
    let mut all = Vec::new();
    for reader in readers {
        all.push(reader.await.unwrap());
    }
    let late = take(&mut slow, 2_000).await;
    assert!(late.iter().all(|entry| entry.owner == ada.owner()));
    assert!(late.windows(2).all(|pair| pair[0].position < pair[1].position));
    assert!(all.iter().all(|read| *read == late));
}

#[tokio::test]
async fn unreachable_store_only_delays_subscribers() {
    let store = Arc::new(MemoryTaskStore::new());
    let faulty = FaultyTaskStore::new(store.clone(), 0);
    let stage = Stage::over(store, faulty.clone(), 1);
    let mut events = stage.engine.event_log(&ME, None).await.unwrap().events;
    submit(&stage.engine, &ME, 1).await;
    take(&mut events, 1).await;
    faulty.faults.store(2, Ordering::SeqCst);
    submit(&stage.engine, &ME, 2).await;
    let mut next = Box::pin(take(&mut events, 2));
    loop {
        tokio::select! {
            biased;
            taken = &mut next => break assert_eq!(taken.len(), 2),
            () = settle() => stage.clock.advance(Duration::from_millis(500)),
        }
    }
    assert_eq!(faulty.faults.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn one_read_serves_all_subscribers_and_stops_without_them() {
    let store = Arc::new(MemoryTaskStore::new());
    let faulty = FaultyTaskStore::new(store.clone(), 0);
    let stage = Stage::over(store, faulty.clone(), 1);
    let readings = || faulty.log_readings.load(Ordering::SeqCst);
    for _ in 0..3 {
        let mut logs = join_all((0..50).map(|_| stage.engine.event_log(&ME, None))).await;
        submit(&stage.engine, &ME, 1).await;
        for log in logs.iter_mut().flatten() {
            take(&mut log.events, 1).await;
        }
        settle().await;
        let before = readings();
        submit(&stage.engine, &ME, 1).await;
        for log in logs.iter_mut().flatten() {
            take(&mut log.events, 1).await;
        }
        assert!((1..5).contains(&(readings() - before)), "{} readings", readings() - before);
        drop(logs);
        settle().await;
        stage.clock.advance(Duration::from_secs(2));
        settle().await;
        let before = readings();
        submit(&stage.engine, &ME, 1).await;
        settle().await;
        assert_eq!(readings(), before);
    }
    let mut log = stage.engine.event_log(&ME, None).await.unwrap();
    stage.shut_down(Duration::ZERO).await;
    assert!(log.events.next().await.is_none(), "it ends with the engine");
}
