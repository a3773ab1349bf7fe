//! One address or user cannot occupy resources that all share.

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use sutazai_http::{SecuritySettings, ServerConfig};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::support::{EventReader, HANG_LIMIT, Server, failure, success};
use crate::wire::Client;

#[tokio::test]
async fn connections_of_one_address_are_limited() {
    let config = ServerConfig { max_connections_per_address: 3, ..ServerConfig::default() };
    let server = Server::start_exposed(SecuritySettings::default(), config).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(TcpStream::connect(server.address).await.unwrap());
    }
    let mut more = TcpStream::connect(server.address).await.unwrap();
    let read = tokio::time::timeout(HANG_LIMIT, more.read(&mut [0])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "the fourth connection was not closed");
    // Another address is served meanwhile.
    let other = reqwest::Client::builder().local_address(Some([127, 0, 0, 2].into())).build().unwrap();
    assert_eq!(other.get(server.url("/health")).send().await.unwrap().status(), 200);
    open.pop();
    let served = async {
        while server.client.get(server.url("/health")).send().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANG_LIMIT, served).await.unwrap();
}

#[tokio::test]
async fn connections_of_a_trusted_proxy_are_not_limited() {
    let config = ServerConfig {
        max_connections_per_address: 1,
        trusted_proxies: "127.0.0.1".parse().unwrap(),
        ..ServerConfig::default()
    };
    let server = Server::start_exposed(SecuritySettings::default(), config).await;
    let _open = [
        TcpStream::connect(server.address).await.unwrap(),
        TcpStream::connect(server.address).await.unwrap(),
    ];
    assert_eq!(server.client.get(server.url("/health")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn streams_of_one_user_are_limited() {
    let protection = SecuritySettings { streams_per_user: 3, ..SecuritySettings::default() };
    let server = Server::start_exposed(protection, ServerConfig::default()).await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let id = ada.submit("gate").await;
    let of_task = format!("/api/v1/tasks/{id}/events");
    let events = EventReader::new(ada.get("/api/v1/events").await);
    let _task = EventReader::new(ada.get(&of_task).await);
    let mut socket = Client::open(&ada).await;
    assert_eq!(socket.ask(&json!({ "type": "ping" })).await["type"], "pong");
    for path in ["/api/v1/events", of_task.as_str()] {
        let error = failure(ada.get(path).await, 429, "rate_limited").await;
        assert!(error["message"].as_str().unwrap().contains("at most 3"), "{error}");
    }
    let ticket = ada.ticket().await;
    assert_eq!(Client::open_with(&server, &format!("?ticket={ticket}")).await.err(), Some(429));
    // Other users are not affected, and an ended stream releases its place.
    let _theirs = EventReader::new(eve.get("/api/v1/events").await);
    drop(events);
    let room = async {
        while ada.get("/api/v1/events").await.status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(HANG_LIMIT, room).await.unwrap();
}

#[tokio::test]
async fn database_queries_of_a_websocket_are_rate_limited() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let id = ada.submit("gate").await;
    let mut socket = Client::open(&ada).await;
    let mut refused = 0;
    for _ in 0..400 {
        let answer = socket.ask(&json!({ "type": "subscribe", "task_id": id, "after": "1000" })).await;
        match answer["type"].as_str().unwrap() {
            "error" => {
                assert_eq!(answer["error"]["code"], "rate_limited", "{answer}");
                assert!(answer["error"]["details"]["retry_after_seconds"].is_u64(), "{answer}");
                refused += 1;
            }
            kind => assert_eq!(kind, "subscribed", "{answer}"),
        }
    }
    assert!(refused > 200, "{refused} of 400");
    assert_eq!(socket.ask(&json!({ "type": "ping" })).await["type"], "pong");
}

#[tokio::test]
async fn waiting_uploads_of_one_user_hold_no_files() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let text = "word ".repeat(100_000);
    let form = format!(
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n{text}\r\n--x--\r\n"
    );
    let file = || {
        let request = ada.request(Method::POST, "/api/v1/documents");
        request.header("content-type", "multipart/form-data; boundary=x").body(form.clone()).send()
    };
    for answer in join_all((0..8).map(|_| file())).await {
        success(answer.unwrap(), 201).await;
    }
}
