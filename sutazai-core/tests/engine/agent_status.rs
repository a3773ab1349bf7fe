//! Agent liveness as seen by engines that share a store.

use std::sync::Arc;
use std::time::Duration;

use sutazai_core::Error;
use sutazai_core::domain::AgentStatus;
use sutazai_core::engine::Engine;
use sutazai_core::memory::{MemoryAgentStore, MemoryCache, MemoryTaskStore};
use sutazai_core::ports::{AgentStore, Cache, Clock};
use sutazai_core::testing::{ManualClock, MockAgentStore, MockCache};

use super::actor::Actor;
use super::stage::settle;

const UNSEEN: AgentStatus = AgentStatus { online: false, last_seen_at: None };

struct Place {
    clock: Arc<ManualClock>,
    store: Option<Arc<dyn AgentStore>>,
    cache: Option<Arc<dyn Cache>>,
}

impl Place {
    fn engine(&self, workers: usize) -> Engine {
        let mut builder = Engine::builder().task_store(Arc::new(MemoryTaskStore::new()));
        if let Some(store) = &self.store {
            builder = builder.agent_store(store.clone());
        }
        if let Some(cache) = &self.cache {
            builder = builder.cache(cache.clone());
        }
        builder.clock(self.clock.clone()).workers(workers).agent(Arc::new(Actor::default())).build().unwrap()
    }
}

#[tokio::test]
async fn liveness_is_shared_between_engines() {
    let clock = Arc::new(ManualClock::new());
    let store = || Some(Arc::new(MemoryAgentStore::new()) as Arc<dyn AgentStore>);
    let cache = || Some(Arc::new(MemoryCache::new(clock.clone())) as Arc<dyn Cache>);
    for (store, cache) in [(store(), None), (None, cache()), (store(), cache())] {
        let forgets = store.is_none();
        let place = Place { clock: clock.clone(), store, cache };
        let (asked, works) = (place.engine(0), place.engine(1));
        asked.start().await.unwrap();
        assert_eq!(asked.agent_statuses().await, Some(vec![UNSEEN]));

        let mut seen = clock.now();
        works.start().await.unwrap();
        for _ in 0..5 {
            settle().await;
            let online = AgentStatus { online: true, last_seen_at: Some(seen) };
            assert_eq!(asked.agent_statuses().await, Some(vec![online]));
            clock.advance(Duration::from_secs(20));
            seen = clock.now();
        }
        settle().await;
        works.shutdown_within(Duration::ZERO).await.unwrap();

        clock.advance(Duration::from_secs(59));
        assert!(asked.agent_statuses().await.unwrap()[0].online);
        clock.advance(Duration::from_secs(1));
        let last_seen_at = (!forgets).then_some(seen);
        assert_eq!(asked.agent_statuses().await, Some(vec![AgentStatus { online: false, last_seen_at }]));
        asked.shutdown_within(Duration::ZERO).await.unwrap();
    }
}

#[tokio::test]
async fn unreachable_or_invalid_liveness_data_is_ignored() {
    let seen = ManualClock::new().now();
    let away = || Error::unavailable("away");
    let broken_store = || {
        let mut store = MockAgentStore::new();
        store.expect_record_heartbeats().returning(move |_, _| Err(away()));
        store.expect_last_heartbeats().returning(move |_| Err(away()));
        Some(Arc::new(store) as Arc<dyn AgentStore>)
    };
    let good_store = || {
        let mut store = MockAgentStore::new();
        store.expect_record_heartbeats().returning(|_, _| Ok(()));
        store.expect_last_heartbeats().returning(move |_| Ok(vec![Some(seen)]));
        Some(Arc::new(store) as Arc<dyn AgentStore>)
    };
    let cache = |kept: Option<&'static str>| {
        let mut cache = MockCache::new();
        cache.expect_get().returning(move |_| kept.map(|kept| Some(kept.into())).ok_or_else(away));
        cache.expect_put().returning(move |_, _, _| kept.map(|_| ()).ok_or_else(away));
        Some(Arc::new(cache) as Arc<dyn Cache>)
    };
    let online = AgentStatus { online: true, last_seen_at: Some(seen) };
    for (store, cache, expected) in [
        (None, None, None),
        (broken_store(), None, None),
        (broken_store(), cache(None), None),
        (broken_store(), cache(Some("yesterday")), Some(UNSEEN)),
        (broken_store(), cache(Some("2026-01-01T00:00:00+00:00")), Some(online)),
        (good_store(), cache(None), Some(online)),
        (good_store(), cache(Some("yesterday")), Some(online)),
    ] {
        let place = Place { clock: Arc::new(ManualClock::new()), store, cache };
        let engine = place.engine(1);
        engine.start().await.unwrap();
        settle().await;
        assert_eq!(engine.agent_statuses().await, expected.map(|status| vec![status]));
        engine.shutdown_within(Duration::ZERO).await.unwrap();
    }
}
