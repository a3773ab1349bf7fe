//! Server-sent events of one task: live, resumed, and at server shutdown.

use reqwest::Method;
use serde_json::json;

use crate::support::{EventReader, Server, names, success};

#[tokio::test]
async fn events_are_live_and_resumable() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let id = ada.submit("gate").await;
    let path = format!("/api/v1/tasks/{id}/events");
    let mut live = EventReader::new(ada.get(&path).await);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(live.next().await.unwrap());
    }
    let kinds: Vec<_> = seen.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(kinds, ["status", "status", "progress"]);
    assert_eq!(seen[2].data["message"], "at the gate");
    assert_eq!(seen[2].data["sequence"], seen[2].id);
    drop(live);

    server.open_gate();
    let rest = ada.events(&id, 2).await;
    assert_eq!(rest[0], seen[2]);
    assert_eq!(
        rest.iter().map(|event| event.id).collect::<Vec<_>>(),
        (3..3 + rest.len() as u64).collect::<Vec<_>>()
    );
    let last = rest.last().unwrap();
    assert_eq!((last.name.as_str(), &last.data["status"]), ("status", &json!("completed")));
    assert_eq!(
        ada.events(&id, 0).await,
        [&seen[..2], &rest[..]].concat(),
        "past events differ when read again"
    );

    let over =
        ada.request(Method::GET, &path).header("last-event-id", last.id.to_string()).send().await.unwrap();
    assert_eq!(over.status(), 204);
    assert_eq!(over.bytes().await.unwrap().len(), 0);
}

#[tokio::test]
async fn invalid_last_event_id_is_rejected() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let id = ada.submit("echo").await;
    for bad in ["", "-1", "+1", "1.5", "last", "99999999999999999999"] {
        let request =
            ada.request(Method::GET, &format!("/api/v1/tasks/{id}/events")).header("Last-Event-ID", bad);
        names(request.send().await.unwrap(), 422, "invalid_input", "last-event-id").await;
    }
}

#[tokio::test]
async fn server_shutdown_ends_its_streams() {
    let mut server = Server::start().await;
    let (mut live, health) = {
        let ada = server.user("ada").await;
        let id = ada.submit("gate").await;
        let live = EventReader::new(ada.get(&format!("/api/v1/tasks/{id}/events")).await);
        (live, server.url("/health"))
    };
    assert!(live.next().await.is_some());
    success(reqwest::get(&health).await.unwrap(), 200).await;
    server.stop();
    while live.next().await.is_some() {}
    server.stopped().await;
    assert!(reqwest::get(&health).await.is_err(), "the server still accepts connections");
}
