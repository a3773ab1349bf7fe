//! Clients that occupy connections: slow, silent, too many, too large.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use sutazai_core::ports::{Clock, SystemClock};
use sutazai_http::{SecuritySettings, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::HANG_LIMIT;
use crate::support::{EventReader, Server, is_alone, success};

const END_TIMEOUT: Duration = Duration::from_secs(5);

async fn server(header: Duration, body: Duration, connections: usize) -> Server {
    let protection = SecuritySettings { body_timeout: body, ..SecuritySettings::default() };
    let config = ServerConfig {
        header_timeout: header,
        max_connections: connections,
        max_connections_per_address: connections,
        ..ServerConfig::default()
    };
    Server::start_exposed(protection, config).await
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Reads until the server closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that closes while we still send may end with an error; the bytes before it count.
    let _ = timeout(END_TIMEOUT, stream.read_to_end(&mut bytes)).await.unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends one byte at a time until the server closes the connection.
async fn trickle(stream: &mut TcpStream, bytes: &[u8]) {
    for byte in bytes {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        SystemClock.sleep(Duration::from_millis(20)).await;
    }
}

async fn is_well(server: &Server) {
    let answer = timeout(END_TIMEOUT, server.request(Method::GET, "/health").send()).await.unwrap().unwrap();
    success(answer, 200).await;
}

#[tokio::test]
async fn trickling_head_and_silent_connection_are_closed() {
    let server = server(Duration::from_millis(300), END_TIMEOUT, 100).await;
    let begun = Instant::now();
    let (mut slow, mut silent, mut idle) =
        (connect(server.address).await, connect(server.address).await, connect(server.address).await);
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    trickle(&mut slow, b"GET /health HTTP/1.1\r\nhost: a\r\nx-a: aaaaaaaaaaaaaaaaaa").await;
    assert_eq!(rest(&mut slow).await, "");
    assert_eq!(rest(&mut silent).await, "");
    assert!(rest(&mut idle).await.starts_with("HTTP/1.1 200"), "an answer, and the end after a pause");
    assert!(begun.elapsed() < END_TIMEOUT);
    is_well(&server).await;
}

#[tokio::test]
async fn trickling_body_is_answered_with_408() {
    let server = server(END_TIMEOUT, Duration::from_millis(300), 100).await;
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    for (framing, piece) in [("content-length: 1000", " "), ("transfer-encoding: chunked", "1\r\n \r\n")] {
        let mut slow = connect(server.address).await;
        slow.write_all(format!("{head}{framing}\r\n\r\n").as_bytes()).await.unwrap();
        trickle(&mut slow, piece.repeat(40).as_bytes()).await;
        let answer = rest(&mut slow).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{framing}: {answer}");
        assert!(answer.contains("connection: close") && answer.contains("\"code\":\"timeout\""), "{answer}");
    }
    is_well(&server).await;
}

#[tokio::test]
async fn body_in_pieces_is_accepted_within_the_time_limit() {
    let server = server(END_TIMEOUT, END_TIMEOUT, 100).await;
    let body = r#"{"login":"ada","password":"wrong password"}"#;
    let mut stream = connect(server.address).await;
    let head = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    trickle(&mut stream, body.as_bytes()).await;
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 401"));
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let server = server(END_TIMEOUT, END_TIMEOUT, 100).await;
    let long = format!("x-long: {}\r\n", "a".repeat(40_000));
    let many: String = (0..150).map(|number| format!("x-{number}: a\r\n")).collect();
    let path = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(70_000));
    for (what, head, status) in [
        ("one long header", format!("GET /health HTTP/1.1\r\nhost: a\r\n{long}\r\n"), "431"),
        ("many headers", format!("GET /health HTTP/1.1\r\nhost: a\r\n{many}\r\n"), "431"),
        ("a long path", path, "4"),
        ("a line without an end", "a".repeat(100_000), "4"),
    ] {
        let mut stream = connect(server.address).await;
        let _ = stream.write_all(head.as_bytes()).await; // refused before all of it is sent
        let answer = rest(&mut stream).await;
        // The kernel may discard the response because we were still sending; then only the end arrives.
        assert!(answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status}")), "{what}: {answer}");
        is_well(&server).await;
    }
    let fits = server.request(Method::GET, "/health").header("x-long", "a".repeat(20_000));
    success(fits.send().await.unwrap(), 200).await;
}

#[tokio::test]
async fn above_the_limit_of_connections_callers_wait() {
    let server = server(END_TIMEOUT * 12, END_TIMEOUT, 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(connect(server.address).await);
    }
    let mut fourth = connect(server.address).await;
    fourth.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut byte = [0];
    let early = timeout(Duration::from_millis(500), fourth.read(&mut byte)).await;
    assert!(early.is_err(), "the fourth of three was served");
    held.pop();
    assert!(rest(&mut fourth).await.starts_with("HTTP/1.1 200"));
}

/// Returns the resident memory of this process in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_idle_connections_cost_little_and_block_nobody() {
    if !is_alone("connections::thousand_idle_connections_cost_little_and_block_nobody") {
        return;
    }
    // Client and server are both in this process.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let all = rustix::process::Rlimit { current: limit.maximum, ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, all).unwrap();
    let mut server = server(END_TIMEOUT * 12, END_TIMEOUT, 10_000).await;
    let ada = server.user("ada").await;
    let before = resident();
    let mut idle = Vec::new();
    for number in 0..1_000 {
        let mut stream = connect(server.address).await;
        if number % 2 == 0 {
            stream.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        }
        idle.push(stream);
    }
    for _ in 0..20 {
        let asked = Instant::now();
        success(ada.get("/api/v1/tasks").await, 200).await;
        assert!(asked.elapsed() < HANG_LIMIT, "{:?}", asked.elapsed());
    }
    let more = resident().saturating_sub(before);
    println!("1,000 connections, both ends: {} KiB", more / 1_024);
    assert!(more < 64 << 20, "{more} bytes for 1,000 connections");
    server.stop();
    server.stopped().await;
}

#[tokio::test]
async fn shutdown_ends_idle_connections_and_completes_requests() {
    let mut server = server(END_TIMEOUT * 12, END_TIMEOUT, 100).await;
    let ada = server.user("ada").await;
    let id = ada.submit("gate").await;
    let mut events = EventReader::new(ada.get(&format!("/api/v1/tasks/{id}/events")).await);
    events.next().await.unwrap();
    let (mut silent, mut sending) = (connect(server.address).await, connect(server.address).await);
    let body = json!({ "login": "ada", "password": "wrong password" }).to_string();
    let head = format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    sending.write_all(format!("{head}{}", &body[..10]).as_bytes()).await.unwrap();
    is_well(&server).await;
    server.stop();
    // The stream ends by itself, well before the drain timeout.
    timeout(END_TIMEOUT, events.rest()).await.unwrap();
    assert_eq!(rest(&mut silent).await, "");
    sending.write_all(&body.as_bytes()[10..]).await.unwrap();
    assert!(rest(&mut sending).await.starts_with("HTTP/1.1 401"), "a request under way was not answered");
    server.stopped().await;
    assert!(TcpStream::connect(server.address).await.is_err());
}
