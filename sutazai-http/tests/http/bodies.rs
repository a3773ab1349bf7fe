//! Request bodies are bounded before anything parses them, each of them and in total.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt;
use futures::future::join_all;
use reqwest::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Body, Method};
use serde_json::json;
use sutazai_http::{SecuritySettings, ServerConfig};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use crate::support::{HANG_LIMIT, Server, User, failure, is_alone, success};

/// One megabyte in bytes.
const MB: u64 = 1_000_000;

/// Array with as many values as fit into `size` bytes: the JSON that needs the most memory as a tree.
fn zeros(size: usize) -> Bytes {
    let mut body = br#"{"agent": "worker", "payload": ["#.to_vec();
    body.extend(b"0,".repeat((size - body.len() - 3) / 2));
    body.extend(b"0]}");
    body.into()
}

/// Value of a line of `/proc/self/status` (proc(5)) in bytes.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1_024
}

async fn post(user: &User<'_>, path: &str, body: impl Into<Body>) -> reqwest::Response {
    let request = user.request(Method::POST, path).header(CONTENT_TYPE, "application/json").body(body);
    tokio::time::timeout(HANG_LIMIT, request.send()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_need_no_multiple_of_their_size() {
    if !is_alone("bodies::large_bodies_need_no_multiple_of_their_size") {
        return;
    }
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let (large, allowed) = (zeros(9_800_000), zeros(262_144));
    success(ada.get("/api/v1/auth/me").await, 200).await;
    // An allocation beyond this limit aborts the process and fails the test.
    let most = Some(status("VmSize:") + 600 * MB);
    let limit = rustix::process::Rlimit { current: most, maximum: most };
    rustix::process::setrlimit(rustix::process::Resource::As, limit).unwrap();
    let before = status("VmHWM:");
    for answer in join_all((0..8).map(|_| post(&ada, "/api/v1/tasks", large.clone()))).await {
        failure(answer, 413, "payload_too_large").await;
    }
    for answer in join_all((0..8).map(|_| post(&ada, "/api/v1/tasks", allowed.clone()))).await {
        failure(answer, 422, "invalid_input").await;
    }
    let grown = status("VmHWM:") - before;
    println!("the peak grew by {} KiB", grown / 1_024);
    assert!(grown < 150 * MB, "{grown} bytes more at the peak");
    success(ada.get("/api/v1/auth/me").await, 200).await;
}

#[tokio::test]
async fn each_route_has_its_own_limit() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let padded = |size: usize| format!("{{{}}}", " ".repeat(size - 2));
    for (path, limit) in [
        ("/api/v1/auth/login", 16_384),
        ("/api/v1/auth/register", 16_384),
        ("/api/v1/auth/refresh", 16_384),
        ("/api/v1/auth/password", 16_384),
        ("/api/v1/auth/api-keys", 16_384),
        ("/api/v1/conversations", 65_536),
        ("/api/v1/tasks", 262_144),
        ("/api/v1/schedules", 262_144),
    ] {
        let error = failure(post(&ada, path, padded(limit + 1)).await, 413, "payload_too_large").await;
        let expected = format!("expected a body of at most {limit} bytes");
        assert_eq!(error["message"], expected.as_str(), "{path}");
        assert_ne!(post(&ada, path, padded(limit)).await.status(), 413, "{path}");
    }
    let answer = post(&ada, "/v1/chat/completions", padded(2_097_153)).await;
    assert_eq!(answer.status(), 413);
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["type"], "invalid_request_error", "{body}");
    assert_ne!(post(&ada, "/v1/chat/completions", padded(2_097_152)).await.status(), 413);
}

#[tokio::test]
async fn chunked_body_is_rejected_as_soon_as_it_is_too_large() {
    let server = Server::start().await;
    let (sender, chunks) = mpsc::unbounded_channel();
    let chunks = UnboundedReceiverStream::new(chunks).map(Ok::<_, std::io::Error>);
    for _ in 0..2 {
        sender.send(Bytes::from_static(&[b' '; 10_000])).unwrap();
    }
    let request = server.request(Method::POST, "/api/v1/auth/login").header(CONTENT_TYPE, "application/json");
    // The body never ends, so the response must come before its end.
    let answer = request.body(Body::wrap_stream(chunks)).send();
    let answer = tokio::time::timeout(HANG_LIMIT, answer).await.unwrap().unwrap();
    assert_eq!(answer.headers()[CONNECTION], "close");
    failure(answer, 413, "payload_too_large").await;
    drop(sender);
}

#[tokio::test]
async fn total_memory_of_bodies_is_bounded() {
    let protection = SecuritySettings {
        body_memory: 1_000_000,
        body_timeout: Duration::from_secs(30),
        ..SecuritySettings::default()
    };
    let server = Server::start_exposed(protection, ServerConfig::default()).await;
    let ada = server.user("ada").await;
    // A payload of 120,000 bytes counts 8 times; the rest of this body is not sent.
    let (sender, chunks) = mpsc::unbounded_channel();
    let chunks = UnboundedReceiverStream::new(chunks).map(Ok::<_, std::io::Error>);
    let head = br#"{"agent": "worker", "payload": {"mode": "echo"}"#;
    sender.send(Bytes::from(head.to_vec())).unwrap();
    sender.send(Bytes::from(vec![b' '; 120_000])).unwrap();
    let first = ada.request(Method::POST, "/api/v1/tasks").header(CONTENT_TYPE, "application/json");
    let first = tokio::spawn(first.body(Body::wrap_stream(chunks)).send());
    let other = || post(&ada, "/api/v1/tasks", zeros(10_000));
    let refused = tokio::time::timeout(HANG_LIMIT, async {
        loop {
            let answer = other().await;
            if answer.status() == 503 {
                return answer;
            }
        }
    });
    let refused = refused.await.unwrap();
    assert_eq!(refused.headers()[RETRY_AFTER], "1");
    failure(refused, 503, "busy").await;
    // A request that needs little memory is served meanwhile.
    let small = json!({ "agent": "worker", "payload": { "mode": "echo" } });
    success(ada.post("/api/v1/tasks", &small).await, 202).await;
    sender.send(Bytes::from_static(b"}")).unwrap();
    drop(sender);
    success(first.await.unwrap().unwrap(), 202).await;
    failure(other().await, 422, "invalid_input").await;
}

/// Sends a body of a chat completion that never ends: 2,000,000 bytes, which count four times.
async fn stalled(user: &User<'_>) -> (mpsc::UnboundedSender<Bytes>, tokio::task::JoinHandle<u16>) {
    let (sender, chunks) = mpsc::unbounded_channel();
    let chunks = UnboundedReceiverStream::new(chunks).map(Ok::<_, std::io::Error>);
    sender.send(Bytes::from(vec![b' '; 2_000_000])).unwrap();
    let request = user.request(Method::POST, "/v1/chat/completions").header(CONTENT_TYPE, "application/json");
    let answer = request.body(Body::wrap_stream(chunks)).send();
    (sender, tokio::spawn(async move { answer.await.unwrap().status().as_u16() }))
}

#[tokio::test]
async fn bodies_of_one_user_leave_memory_to_others() {
    let protection = SecuritySettings {
        body_memory: 100_000_000,
        body_timeout: Duration::from_secs(30),
        ..SecuritySettings::default()
    };
    let server = Server::start_exposed(protection, ServerConfig::default()).await;
    let (ada, eve) = (server.user("ada").await, server.user("eve").await);
    let mut bodies = Vec::new();
    // Six bodies take 48 of the 50 MB of one user, so one of the next is rejected.
    for _ in 0..8 {
        bodies.push(stalled(&eve).await);
    }
    let refused = tokio::time::timeout(HANG_LIMIT, async {
        loop {
            let done = bodies.iter().position(|(_, answer)| answer.is_finished());
            if let Some(done) = done {
                return bodies.swap_remove(done).1.await.unwrap();
            }
            tokio::task::yield_now().await;
        }
    });
    assert_eq!(refused.await.unwrap(), 503);
    // Meanwhile another user can take 40 MB.
    failure(post(&ada, "/api/v1/tasks", zeros(250_000)).await, 422, "invalid_input").await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(stalled(&ada).await);
    }
    failure(post(&ada, "/api/v1/tasks", zeros(250_000)).await, 422, "invalid_input").await;
    assert!(others.iter().all(|(_, answer)| !answer.is_finished()));
    for (_, answer) in bodies.into_iter().chain(others) {
        answer.abort();
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn coded(user: &User<'_>, path: &str, coding: &str, body: Vec<u8>) -> reqwest::Response {
    let request = user.request(Method::POST, path).header(CONTENT_TYPE, "application/json");
    request.header(CONTENT_ENCODING, coding).body(body).send().await.unwrap()
}

#[tokio::test]
async fn gzip_bodies_are_decompressed_within_the_limits() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let path = "/api/v1/tasks";
    let plain =
        json!({ "agent": "worker", "payload": { "mode": "echo", "text": "x".repeat(50_000) } }).to_string();
    let packed = gzip(plain.as_bytes());
    assert!(packed.len() * 10 < plain.len());
    for coding in ["gzip", "GZIP", "x-gzip", "identity, gzip"] {
        success(coded(&ada, path, coding, packed.clone()).await, 202).await;
    }
    success(coded(&ada, path, "identity", plain.clone().into()).await, 202).await;
    // Two gzip members form one text (RFC 1952, 2.2).
    let (head, tail) = plain.as_bytes().split_at(100);
    success(coded(&ada, path, "gzip", [gzip(head), gzip(tail)].concat()).await, 202).await;
    for broken in [plain.clone().into_bytes(), packed[..packed.len() / 2].to_vec(), b"\x1f\x8b".to_vec()] {
        let error = failure(coded(&ada, path, "gzip", broken).await, 400, "malformed").await;
        assert_eq!(error["message"], "the body is not valid gzip");
    }
    // One megabyte that decompresses to one gigabyte.
    let bomb = gzip(&vec![b' '; 1_000_000]);
    let bomb = (0..1_000).flat_map(|_| bomb.clone()).collect::<Vec<_>>();
    for (path, size) in [(path, 262_144), ("/v1/chat/completions", 2_097_152), ("/api/v1/auth/login", 16_384)]
    {
        let sent = bomb[..bomb.len().min(size / 2)].to_vec();
        let answer = coded(&ada, path, "gzip", sent).await;
        assert_eq!(answer.status(), 413, "{path}");
    }
    success(ada.get("/api/v1/auth/me").await, 200).await;
}

#[tokio::test]
async fn unsupported_content_coding_is_rejected_with_the_accepted_ones() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    for coding in ["br", "deflate", "zstd", "gzip, gzip", "gzip, br", "nonsense"] {
        let answer = coded(&ada, "/api/v1/tasks", coding, b"{}".to_vec()).await;
        assert_eq!(answer.headers()[ACCEPT_ENCODING], "gzip", "{coding}");
        failure(answer, 415, "unsupported_media_type").await;
    }
    let answer = coded(&ada, "/v1/embeddings", "br", b"{}".to_vec()).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()[ACCEPT_ENCODING]),
        (415, &"gzip".parse().unwrap())
    );
    assert!(answer.text().await.unwrap().starts_with(r#"{"error":{"message":"#));
}

#[tokio::test]
async fn decompressed_bodies_count_against_the_total_memory() {
    let protection = SecuritySettings { body_memory: 100_000, ..SecuritySettings::default() };
    let server = Server::start_exposed(protection, ServerConfig::default()).await;
    let ada = server.user("ada").await;
    let packed = gzip(&zeros(120_000));
    assert!(packed.len() < 2_000);
    failure(coded(&ada, "/api/v1/tasks", "gzip", packed).await, 503, "busy").await;
}
