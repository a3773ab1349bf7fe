//! The SQLite stores against the suites of their ports, each part over a new file.
//!
//! They are opened as programs open them, so the suites also cover the decorators that trace them.

use std::sync::{Arc, Mutex};

use sutazai_core::testing::{
    agent_store, api_key_store, conversation_store, document_store, event_log, identity_store, metric_store,
    relay_store, schedule_store, schedules, task_queue, task_records,
};
use sutazai_store::Stores;

use crate::place::Place;

/// Opens new databases and keeps their directories until the test ends.
#[derive(Default)]
struct Places(Mutex<Vec<Arc<Place>>>);

impl Places {
    async fn open(&self) -> Stores {
        let place = Arc::new(Place::new());
        self.0.lock().unwrap().push(place.clone());
        place.open().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn task_store_conforms() {
    let places = Places::default();
    let make = || async { places.open().await.tasks };
    task_queue::run_all(make).await;
    task_records::run_all(make).await;
    event_log::run_all(make).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_store_conforms() {
    let places = Places::default();
    identity_store::run_all(|| async { places.open().await.identity }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn api_key_store_conforms() {
    let places = Places::default();
    api_key_store::run_all(|| async {
        let stores = places.open().await;
        let [ada, eve] = ["ada", "eve"].map(identity_store::user_named);
        stores.identity.create_user(&ada).await.unwrap();
        stores.identity.create_user(&eve).await.unwrap();
        (stores.api_keys, ada.id, eve.id)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conversation_store_conforms() {
    let places = Places::default();
    conversation_store::run_all(|| async {
        let stores = places.open().await;
        let [ada, eve] = ["ada", "eve"].map(identity_store::user_named);
        stores.identity.create_user(&ada).await.unwrap();
        stores.identity.create_user(&eve).await.unwrap();
        (stores.conversations, ada.id, eve.id)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn document_store_conforms() {
    let places = Places::default();
    document_store::run_all(|| async {
        let stores = places.open().await;
        let [ada, eve] = ["ada", "eve"].map(identity_store::user_named);
        stores.identity.create_user(&ada).await.unwrap();
        stores.identity.create_user(&eve).await.unwrap();
        (stores.documents, ada.id, eve.id)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metric_store_conforms() {
    let places = Places::default();
    metric_store::run_all(|| async { places.open().await.metrics }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_store_conforms() {
    let places = Places::default();
    agent_store::run_all(|| async { places.open().await.agents }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relay_store_conforms() {
    let places = Places::default();
    relay_store::run_all(|| async {
        let stores = places.open().await;
        (stores.tasks, stores.relays)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn task_store_survives_random_schedules() {
    let places = Places::default();
    let first = u64::from(rand::random::<u32>());
    // The last seed is a schedule in which a task requests the same child twice and ends before it.
    for seed in (first..first + 50).chain([135_852_099]) {
        if let Err(fault) = schedules::run(|| async { places.open().await.tasks }, seed).await {
            panic!("{fault}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schedule_store_conforms() {
    let places = Places::default();
    schedule_store::run_all(|| async { places.open().await.schedules }).await;
}
