//! The PostgreSQL stores against the suites of their ports, each part over a new database.

use sutazai_core::testing::{
    agent_store, api_key_store, clock, conversation_store, document_store, event_log, identity_store,
    metric_store, relay_store, schedule_store, schedules, task_queue, task_records,
};
use sutazai_store::Stores;

use crate::place::database;

async fn open() -> Stores {
    sutazai_store::open(&database().await).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn task_store_conforms() {
    let make = || async { open().await.tasks };
    task_queue::run_all(make).await;
    task_records::run_all(make).await;
    event_log::run_all(make).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn identity_store_conforms() {
    identity_store::run_all(|| async { open().await.identity }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn api_key_store_conforms() {
    api_key_store::run_all(|| async {
        let stores = open().await;
        let [ada, eve] = ["ada", "eve"].map(identity_store::user_named);
        stores.identity.create_user(&ada).await.unwrap();
        stores.identity.create_user(&eve).await.unwrap();
        (stores.api_keys, ada.id, eve.id)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conversation_store_conforms() {
    conversation_store::run_all(|| async {
        let stores = open().await;
        let [ada, eve] = ["ada", "eve"].map(identity_store::user_named);
        stores.identity.create_user(&ada).await.unwrap();
        stores.identity.create_user(&eve).await.unwrap();
        (stores.conversations, ada.id, eve.id)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn document_store_conforms() {
    document_store::run_all(|| async {
        let stores = open().await;
        let [ada, eve] = ["ada", "eve"].map(identity_store::user_named);
        stores.identity.create_user(&ada).await.unwrap();
        stores.identity.create_user(&eve).await.unwrap();
        (stores.documents, ada.id, eve.id)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metric_store_conforms() {
    metric_store::run_all(|| async { open().await.metrics }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relay_store_conforms() {
    relay_store::run_all(|| async {
        let stores = open().await;
        (stores.tasks, stores.relays)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_store_conforms() {
    agent_store::run_all(|| async { open().await.agents }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_conforms() {
    clock::run_all(open().await.clock, |_| async {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn task_store_survives_random_schedules() {
    let first = u64::from(rand::random::<u32>());
    for seed in (first..first + 25).chain([135_852_099]) {
        if let Err(fault) = schedules::run(|| async { open().await.tasks }, seed).await {
            panic!("{fault}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schedule_store_conforms() {
    schedule_store::run_all(|| async { open().await.schedules }).await;
}
