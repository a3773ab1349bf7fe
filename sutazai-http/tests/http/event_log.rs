//! Server-sent events of all tasks of a user.

use reqwest::Method;
use serde_json::json;
use sutazai_core::domain::{Caller, UserRole};

use crate::support::{EventReader, SentEvent, Server, User, names, success};

const EVENTS: &str = "/api/v1/events";

async fn follow(user: &User<'_>, query: &str) -> EventReader {
    EventReader::new(user.get(&format!("{EVENTS}{query}")).await)
}

async fn take(reader: &mut EventReader, count: usize) -> Vec<SentEvent> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(reader.next().await.unwrap());
    }
    taken
}

#[tokio::test]
async fn events_of_all_tasks_are_live_and_resumable() {
    let server = Server::start().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let before = ada.submit("echo").await;
    ada.ended(&before).await;
    let mut live = follow(&ada, "").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let theirs = eve.submit("echo").await;
        eve.ended(&theirs).await;
        let mine = ada.submit("echo").await;
        ada.ended(&mine).await;
        ids.push(mine);
    }
    let seen = take(&mut live, 9).await;
    for (event, id) in seen.iter().zip(ids.iter().flat_map(|id| [id; 3])) {
        assert_eq!((&event.data["task_id"], event.name.as_str()), (&json!(id), "status"), "{event:?}");
    }
    let sequences: Vec<_> = seen.iter().map(|event| event.data["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, [1, 2, 3, 1, 2, 3, 1, 2, 3]);
    drop(live);

    for at in [0, 4, 7] {
        let id = seen[at].id;
        let resumed = ada.request(Method::GET, EVENTS).header("Last-Event-ID", id.to_string());
        let mut by_header = EventReader::new(resumed.send().await.unwrap());
        let mut by_query = follow(&ada, &format!("?after={id}")).await;
        assert_eq!(take(&mut by_header, 8 - at).await, seen[at + 1..]);
        assert_eq!(take(&mut by_query, 8 - at).await, seen[at + 1..]);
    }
    // A browser that reconnects requests the original URL, with the header `Last-Event-ID`.
    let again = ada.request(Method::GET, &format!("{EVENTS}?after=0")).header("Last-Event-ID", seen[7].id);
    assert_eq!(EventReader::new(again.send().await.unwrap()).next().await.unwrap(), seen[8]);
    assert_eq!(take(&mut follow(&ada, "?after=0").await, 12).await[3..], seen);

    let id = eve.signed_in["user"]["id"].as_str().unwrap().parse().unwrap();
    server.identity.set_role(&Caller::System, id, UserRole::Admin).await.unwrap();
    let body = json!({ "login": "eve", "password": crate::support::PASSWORD });
    let login = server.request(Method::POST, "/api/v1/auth/login").json(&body).send().await.unwrap();
    let signed_in = success(login, 200).await;
    let admin =
        User { server: &server, token: signed_in["access_token"].as_str().unwrap().into(), signed_in };
    assert_eq!(take(&mut follow(&admin, "?after=0").await, 21).await.len(), 21);
}

#[tokio::test]
async fn client_disconnected_before_the_first_event_can_resume() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let mut answer = ada.get(EVENTS).await;
    let first = answer.chunk().await.unwrap().unwrap();
    let id: u64 = std::str::from_utf8(&first).unwrap().trim().strip_prefix("id: ").unwrap().parse().unwrap();
    drop(answer);
    let task = ada.submit("echo").await;
    let mut resumed = follow(&ada, &format!("?after={id}")).await;
    assert_eq!(resumed.next().await.unwrap().data["task_id"], task);
}

#[tokio::test]
async fn unknown_event_offsets_are_rejected() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for bad in ["", "-1", "+1", "1.5", "last", "99999999999999999999", "9".repeat(60).as_str()] {
        let request = ada.request(Method::GET, EVENTS).header("Last-Event-ID", bad);
        names(request.send().await.unwrap(), 422, "invalid_input", "last-event-id").await;
        let bad = bad.replace('+', "%2B");
        names(ada.get(&format!("{EVENTS}?after={bad}")).await, 422, "invalid_input", "after").await;
    }
    let task = ada.submit("echo").await;
    for path in [EVENTS.to_owned(), format!("/api/v1/tasks/{task}/events")] {
        names(ada.get(&format!("{path}?since=1")).await, 422, "invalid_input", "since").await;
        names(ada.get(&format!("{path}?after=x")).await, 422, "invalid_input", "after").await;
        let both = ada.request(Method::GET, &format!("{path}?after=x")).header("Last-Event-ID", "1");
        names(both.send().await.unwrap(), 422, "invalid_input", "after").await;
    }
    let rest = EventReader::new(ada.get(&format!("/api/v1/tasks/{task}/events?after=1")).await).rest().await;
    assert_eq!(rest[0].id, 2);
}

#[tokio::test]
async fn server_shutdown_ends_the_stream() {
    let mut server = Server::start().await;
    let mut live = follow(&server.user("ada").await, "").await;
    server.stop();
    assert_eq!(live.next().await, None);
    server.stopped().await;
}
