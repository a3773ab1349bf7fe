//! Server over each kind of store: clients that follow many tasks do not use up its connections, and filters
//! accept every text.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;
use sutazai_core::ports::TaskStore;

use crate::postgres::database;
use crate::support::{Server, success};
use crate::wire::{Client, Mute};

/// Maximum number of subscriptions of one connection.
const SUBSCRIPTIONS: usize = 32;
/// Maximum number of streams of one user in addition to two WebSockets.
const STREAMS: usize = 30;
/// Timeout of a read, which takes some milliseconds. A read that waits for a connection in use fails after 3
/// to 30 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Subscribes one user to 32 tasks at once, with a client that reads and with one that does not, and to most of them
/// over an event stream that is never read. Meanwhile another user lists tasks.
async fn others_are_answered(tasks: Arc<dyn TaskStore>) {
    let server = Server::start_with_tasks(tasks).await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let ids = join_all((0..SUBSCRIPTIONS).map(|_| ada.submit("gate"))).await;
    let (mut client, mut mute) = (Client::open(&ada).await, Mute::open(&ada).await);
    for id in &ids {
        let subscribe = json!({ "type": "subscribe", "task_id": id });
        client.say(&subscribe).await;
        mute.say(&subscribe).await;
    }
    let streams = join_all(ids.iter().take(STREAMS).map(|id| {
        let path = format!("/api/v1/tasks/{id}/events");
        let ada = &ada;
        async move { ada.get(&path).await }
    }))
    .await;
    for _ in 0..20 {
        let asked = Instant::now();
        success(eve.get("/api/v1/tasks").await, 200).await;
        assert!(asked.elapsed() < ANSWER_TIMEOUT, "a list took {:?}", asked.elapsed());
    }
    let mut subscribed = HashSet::new();
    while subscribed.len() < SUBSCRIPTIONS {
        let message = client.hear().await;
        assert_ne!(message["type"], "error", "{message}");
        if message["type"] == "subscribed" {
            subscribed.insert(message["subscription"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(subscribed, ids.into_iter().collect());
    assert!(streams.iter().all(|stream| stream.status() == 200));
}

/// A filter with a zero character matches nothing and is no server error.
async fn filters_take_every_text(tasks: Arc<dyn TaskStore>) {
    let server = Server::start_with_tasks(tasks).await;
    let ada = server.user("ada").await;
    ada.submit("echo").await;
    for nobodys in ["%00", "wor%00ker", "worker%00", "%F4%8F%BF%BF0", "%27"] {
        let tasks = success(ada.get(&format!("/api/v1/tasks?agent={nobodys}")).await, 200).await;
        assert_eq!(tasks["items"], json!([]), "{nobodys}");
    }
    let tasks = success(ada.get("/api/v1/tasks?agent=worker").await, 200).await;
    assert_eq!(tasks["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn filters_take_every_text_over_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/tasks.db", folder.path().display());
    filters_take_every_text(sutazai_store::open(&url).await.unwrap().tasks).await;
}

#[tokio::test]
async fn filters_take_every_text_over_postgresql() {
    filters_take_every_text(sutazai_store::open(&database().await).await.unwrap().tasks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_subscriptions_keep_no_connection_of_sqlite_from_others() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/tasks.db", folder.path().display());
    others_are_answered(sutazai_store::open(&url).await.unwrap().tasks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_subscriptions_keep_no_connection_of_postgresql_from_others() {
    others_are_answered(sutazai_store::open(&database().await).await.unwrap().tasks).await;
}
