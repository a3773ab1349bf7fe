//! Memory of many concurrent streams.

use futures::future::join_all;
use serde_json::json;
use sutazai_http::{SecuritySettings, ServerConfig};

use crate::support::{EventReader, Server, is_alone};
use crate::wire::{Mute, TEXT};

const STREAMS: usize = 200;

/// Resident memory of this process in KiB (proc(5), VmRSS), server and clients together.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_streams_of_each_kind_need_little_memory() {
    if !is_alone("many_streams::two_hundred_streams_of_each_kind_need_little_memory") {
        return;
    }
    let protection = SecuritySettings { streams_per_user: 2 * STREAMS, ..SecuritySettings::default() };
    let config = ServerConfig { max_connections_per_address: 1_000, ..ServerConfig::default() };
    let server = Server::start_exposed(protection, config).await;
    let ada = server.user("ada").await;
    let warm = ada.submit("echo").await;
    ada.ended(&warm).await;
    let before = resident();
    let mut readers: Vec<EventReader> = join_all((0..STREAMS).map(|_| ada.get("/api/v1/events")))
        .await
        .into_iter()
        .map(EventReader::new)
        .collect();
    let mut sockets = join_all((0..STREAMS).map(|_| Mute::open(&ada))).await;
    for socket in &mut sockets {
        socket.say(&json!({ "type": "subscribe" })).await;
        assert_eq!(socket.read().await.unwrap().0, TEXT);
    }
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(ada.submit("echo").await);
    }
    // Each stream receives each event once: submission, attempt and end of ten tasks.
    for reader in &mut readers {
        let mut seen = Vec::new();
        while seen.len() < 30 {
            seen.push(reader.next().await.unwrap().data["task_id"].as_str().unwrap().to_owned());
        }
        assert!(ids.iter().all(|id| seen.iter().filter(|seen| *seen == id).count() == 3));
    }
    for socket in &mut sockets {
        for _ in 0..30 {
            let frame = socket.read().await.unwrap();
            assert!(frame.1.starts_with(br#"{"type":"event""#));
        }
    }
    let each = (resident().saturating_sub(before)) / (2 * STREAMS as u64);
    println!("{STREAMS} streams and {STREAMS} WebSockets, both ends of each: {each} KiB a connection");
    assert!(each < 200, "{each} KiB a connection");
}
