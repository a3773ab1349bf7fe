//! Closing of a WebSocket by the server.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use sutazai_core::ports::{Clock, SystemClock};
use sutazai_core::testing::ManualClock;

use crate::support::{EventReader, Server, success};
use crate::wire::{CLOSE, Client, Frame, Mute, PING, TEXT};

/// Advances the clock second by second until the next frame arrives; returns the frame and the number of seconds.
async fn pass_until_frame(clock: &ManualClock, client: &mut Mute) -> (Option<Frame>, u32) {
    let mut seconds = 0;
    let mut read = Box::pin(client.read());
    loop {
        tokio::select! {
            frame = &mut read => return (frame, seconds),
            () = SystemClock.sleep(Duration::from_millis(20)) => {
                clock.advance(Duration::from_secs(1));
                seconds += 1;
            }
        }
    }
}

#[tokio::test]
async fn server_shutdown_closes_websockets() {
    let mut server = Server::start().await;
    let (mut quiet, mut busy, mut mute) = {
        let ada = server.user("ada").await;
        ada.submit("gate").await;
        (Client::open(&ada).await, Client::open(&ada).await, Mute::open(&ada).await)
    };
    busy.ask(&json!({ "type": "subscribe", "after": "0" })).await;
    server.stop();
    assert_eq!(quiet.closed().await, 1001);
    assert_eq!(busy.closed().await, 1001);
    assert_eq!(mute.read().await.unwrap().code(), 1001);
    drop(mute);
    server.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_websocket_reader_is_disconnected() {
    let clock = Arc::new(ManualClock::new());
    let mut server = Server::start_at(clock.clone()).await;
    let mut client = {
        let ada = server.user("ada").await;
        for _ in 0..40 {
            let id = ada.submit("flood").await;
            ada.ended(&id).await;
        }
        let mut client = Mute::open(&ada).await;
        client.say(&json!({ "type": "subscribe", "after": "0" })).await;
        client
    };
    // Fills the buffers between client and server.
    SystemClock.sleep(Duration::from_secs(2)).await;
    clock.advance(Duration::from_secs(10));
    SystemClock.sleep(Duration::from_millis(100)).await;
    let (mut events, mut bytes) = (0, 0);
    let code = loop {
        let frame = client.read().await.unwrap();
        match frame.0 {
            TEXT => (events, bytes) = (events + 1, bytes + frame.1.len()),
            CLOSE => break frame.code(),
            _ => {}
        }
    };
    assert_eq!(code, 1013);
    println!("{events} of 160 events, {bytes} bytes of 40 MB, were on their way when the reader was cut off");
    assert!((2..160).contains(&events), "{events}");
    drop(client);
    server.stop();
    server.stopped().await;
}

#[tokio::test]
async fn stalled_websocket_reader_holds_no_resources() {
    let clock = Arc::new(ManualClock::new());
    let mut server = Server::start_at(clock.clone()).await;
    let _client = {
        let ada = server.user("ada").await;
        for _ in 0..20 {
            let id = ada.submit("flood").await;
            ada.ended(&id).await;
        }
        let mut client = Mute::open(&ada).await;
        client.say(&json!({ "type": "subscribe", "after": "0" })).await;
        client
    };
    SystemClock.sleep(Duration::from_millis(500)).await;
    server.stop();
    for _ in 0..20 {
        SystemClock.sleep(Duration::from_millis(20)).await;
        clock.advance(Duration::from_secs(1));
    }
    server.stopped().await;
}

#[tokio::test]
async fn websocket_without_pong_is_closed() {
    let clock = Arc::new(ManualClock::new());
    let server = Server::start_at(clock.clone()).await;
    let ada = server.user("ada").await;
    let mut client = Mute::open(&ada).await;
    client.say(&json!({ "type": "ping" })).await;
    assert_eq!(client.read().await.unwrap().0, TEXT);
    let (frame, seconds) = pass_until_frame(&clock, &mut client).await;
    assert_eq!((frame.unwrap().0, (19..25).contains(&seconds)), (PING, true), "{seconds} s");
    client.say(&json!({ "type": "ping" })).await;
    assert_eq!(client.read().await.unwrap().0, TEXT);
    let (frame, _) = pass_until_frame(&clock, &mut client).await;
    assert_eq!(frame.unwrap().0, PING, "a client that sends messages was disconnected");
    let (frame, seconds) = pass_until_frame(&clock, &mut client).await;
    assert_eq!((frame.unwrap().code(), (19..25).contains(&seconds)), (1008, true), "{seconds} s");
}

#[tokio::test]
async fn ended_session_closes_its_streams() {
    let clock = Arc::new(ManualClock::new());
    let server = Server::start_at(clock.clone()).await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let id = ada.submit("gate").await;
    let mut client = Mute::open(&ada).await;
    let mut all = EventReader::new(ada.get("/api/v1/events").await);
    let mut one = EventReader::new(ada.get(&format!("/api/v1/tasks/{id}/events")).await);
    one.next().await.unwrap();
    let by_ticket = format!("/api/v1/events?ticket={}", ada.ticket().await);
    let mut by_ticket = EventReader::new(server.request(Method::GET, &by_ticket).send().await.unwrap());
    let mut other = EventReader::new(eve.get("/api/v1/events").await);
    success(ada.post("/api/v1/auth/logout", &json!({})).await, 200).await;
    let (frame, seconds) = pass_until_frame(&clock, &mut client).await;
    assert_eq!((frame.unwrap().code(), seconds <= 20), (1008, true), "{seconds} s");
    for reader in [&mut all, &mut one, &mut by_ticket] {
        while reader.next().await.is_some() {}
    }
    eve.submit("echo").await;
    assert!(other.next().await.is_some(), "the stream of another user ended too");
}
