//! Events over a WebSocket: subscriptions, resumption, and rejected messages.

use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Server, failure};
use crate::wire::Client;

async fn take(client: &mut Client, count: usize) -> Vec<Value> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(client.hear().await);
    }
    taken
}

#[tokio::test]
async fn all_tasks_are_followed_and_resumed() {
    let server = Server::start().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    ada.submit("echo").await;
    let mut client = Client::open(&ada).await;
    let subscribed = client.ask(&json!({ "type": "subscribe" })).await;
    assert_eq!((&subscribed["type"], &subscribed["subscription"]), (&json!("subscribed"), &json!("all")));
    let theirs = eve.submit("echo").await;
    let (one, other) = (ada.submit("echo").await, ada.submit("echo").await);
    let mut heard = Vec::new();
    while heard.len() < 6 {
        let message = client.hear().await;
        assert_ne!(message["event"]["task_id"], theirs);
        if [&one, &other].iter().any(|id| message["event"]["task_id"] == **id) {
            heard.push(message);
        }
    }
    assert!(heard.iter().all(|message| message["subscription"] == "all" && message["type"] == "event"));
    assert_eq!(heard.iter().filter(|message| message["event"]["status"] == "completed").count(), 2);

    let mut second = Client::open(&ada).await;
    let after = heard[1]["id"].as_str().unwrap();
    let answer = second.ask(&json!({ "type": "subscribe", "after": after })).await;
    assert_eq!(answer["after"], after);
    let resumed: Vec<_> = take(&mut second, 4).await;
    assert_eq!(resumed, heard[2..]);

    assert_eq!(
        client.ask(&json!({ "type": "unsubscribe" })).await,
        json!({ "type": "unsubscribed", "subscription": "all" })
    );
    ada.submit("echo").await;
    assert_eq!(second.hear().await["type"], "event");
    assert_eq!(
        client.ask(&json!({ "type": "ping" })).await,
        json!({ "type": "pong" }),
        "nothing came between"
    );
}

#[tokio::test]
async fn one_task_is_followed_to_its_end_and_resumed() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let id = ada.submit("gate").await;
    let mut client = Client::open(&ada).await;
    let subscribed = client.ask(&json!({ "type": "subscribe", "task_id": id })).await;
    assert_eq!(subscribed, json!({ "type": "subscribed", "subscription": id, "after": "0" }));
    let mut heard = take(&mut client, 3).await;
    assert_eq!((&heard[2]["event"]["message"], &heard[2]["id"]), (&json!("at the gate"), &json!("3")));
    server.open_gate();
    heard.extend(take(&mut client, 2).await);
    assert_eq!(heard[3]["event"]["status"], "completed");
    assert_eq!(heard[4], json!({ "type": "unsubscribed", "subscription": id }));

    client.say(&json!({ "type": "subscribe", "task_id": id, "after": "2" })).await;
    assert_eq!(take(&mut client, 4).await[1..], heard[2..]);
    // A second subscription to the same events replaces the first.
    for after in ["4", "0"] {
        client.say(&json!({ "type": "subscribe", "task_id": id, "after": after })).await;
    }
    let mut rest = Vec::new();
    while rest.iter().filter(|message: &&Value| message["type"] == "event").count() < 4 {
        rest.push(client.hear().await);
    }
    client.say(&json!({ "type": "subscribe" })).await;
    let both = ada.submit("echo").await;
    client.say(&json!({ "type": "subscribe", "task_id": both })).await;
    let mut of = [Vec::new(), Vec::new()];
    while of.iter().any(|events| events.len() < 3) {
        let message = client.hear().await;
        if message["event"]["task_id"] == both {
            of[usize::from(message["subscription"] == "all")].push(message["event"].clone());
        }
    }
    assert_eq!(of[0], of[1], "two subscriptions received different events");
}

#[tokio::test]
async fn invalid_message_names_the_field_and_keeps_subscriptions() {
    let server = Server::start().await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let mine = eve.submit("gate").await;
    let mut client = Client::open(&eve).await;
    client.say(&json!({ "type": "subscribe", "task_id": mine })).await;
    take(&mut client, 4).await;
    for (bad, field) in [
        (json!({}), "type"),
        (json!({ "type": "shout" }), "type"),
        (json!({ "type": 7 }), "type"),
        (json!({ "type": "subscribe", "task": mine }), "task"),
        (json!({ "type": "subscribe", "task_id": "mine" }), "task_id"),
        (json!({ "type": "subscribe", "task_id": 5 }), "task_id"),
        (json!({ "type": "subscribe", "after": 5 }), "after"),
        (json!({ "type": "subscribe", "after": "-5" }), "after"),
        (json!({ "type": "subscribe", "after": "99999" }), "after"),
        (json!({ "type": "subscribe", "task_id": mine, "after": "x" }), "after"),
        (json!({ "type": "unsubscribe", "after": "5" }), "after"),
        (json!({ "type": "ping", "task_id": mine }), "task_id"),
        (json!([{ "type": "ping" }]), "body"),
    ] {
        let answer = client.ask(&bad).await;
        assert_eq!(answer["type"], "error", "{bad}: {answer}");
        assert_eq!(answer["error"]["code"], "invalid_input", "{bad}: {answer}");
        assert_eq!(answer["error"]["details"]["field"], field, "{bad}: {answer}");
    }
    for bad in [Message::text("{"), Message::text(""), Message::binary(b"{}".as_slice())] {
        client.send(bad).await;
        assert_eq!(client.hear().await["error"]["code"], "malformed");
    }
    let theirs = ada.submit("gate").await;
    let mut answers = Vec::new();
    for id in [theirs.as_str(), "0195f3a0-0000-7000-8000-000000000000"] {
        let answer = client.ask(&json!({ "type": "subscribe", "task_id": id })).await;
        assert_eq!((&answer["error"]["code"], &answer["subscription"]), (&json!("not_found"), &json!(id)));
        answers.push(answer.to_string().replace(id, "ID"));
    }
    assert_eq!(answers[0], answers[1]);
    let answer = client.ask(&json!({ "type": "unsubscribe", "task_id": theirs })).await;
    assert_eq!(answer["error"]["code"], "not_found");
    // Existing subscriptions continue.
    server.open_gate();
    server.open_gate();
    assert_eq!(client.hear().await["event"]["status"], "completed");
}

#[tokio::test]
async fn subscriptions_and_message_size_are_limited() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let mut client = Client::open(&ada).await;
    client.ask(&json!({ "type": "subscribe" })).await;
    client.ask(&json!({ "type": "unsubscribe" })).await;
    let mut ids = Vec::new();
    for _ in 0..33 {
        ids.push(ada.submit("gate").await);
    }
    for id in &ids {
        client.say(&json!({ "type": "subscribe", "task_id": id })).await;
    }
    let (mut subscribed, mut refused) = (0, Vec::new());
    while subscribed + refused.len() < 33 {
        let message = client.hear().await;
        match message["type"].as_str().unwrap() {
            "subscribed" => subscribed += 1,
            "error" => refused.push(message),
            _ => {}
        }
    }
    assert_eq!((subscribed, refused.len()), (32, 1));
    assert_eq!(refused[0]["error"]["code"], "rate_limited");
    assert_eq!(refused[0]["subscription"], *ids.last().unwrap());
    client.say(&json!({ "type": "unsubscribe", "task_id": ids[0] })).await;
    client.say(&json!({ "type": "subscribe", "task_id": ids[32] })).await;
    while client.hear().await["type"] != "subscribed" {}

    client.send(Message::text(format!("{{\"type\":\"ping\"{}}}", " ".repeat(16_384 - 15)))).await;
    while client.hear().await["type"] != "pong" {}
    client.send(Message::text(" ".repeat(16_385))).await;
    assert_eq!(client.closed().await, 1009);
}

#[tokio::test]
async fn websocket_requires_handshake_and_authentication() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let error = failure(ada.get("/api/v1/ws").await, 426, "malformed").await;
    assert!(error["message"].as_str().unwrap().contains("handshake"), "{error}");
    failure(server.request(Method::GET, "/api/v1/ws").send().await.unwrap(), 401, "unauthenticated").await;
    failure(ada.post("/api/v1/ws", &json!({})).await, 405, "method_not_allowed").await;
    assert_eq!(Client::open_with(&server, "").await.err(), Some(401));
}
