//! Network interfaces compared with psutil, in a separate network namespace with a virtual cable and traffic of known
//! size.

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use sutazai_agent::metrics::SystemMetricSource;
use sutazai_core::ports::{Clock, SystemClock};

use super::host::{collect, networks};
use super::psutil::{Comparison, Psutil};

/// Environment variable that marks the copy of this test inside the namespace.
const INSIDE: &str = "SUTAZAI_TEST_INSIDE_NETWORK";
const DATAGRAMS: u64 = 5_000;
const DATAGRAM_BYTES: usize = 1_000;

#[tokio::test]
async fn interfaces_match_psutil() {
    if std::env::var_os(INSIDE).is_some() {
        return traffic_is_counted().await;
    }
    let inside = Command::new("unshare")
        .args(["--net", "--map-root-user"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "network::interfaces_match_psutil", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(inside.success(), "the copy of this test in a network of its own ended with {inside}");
}

async fn traffic_is_counted() {
    ip("link add name near type veth peer name far");
    ip("address add 192.0.2.1/24 dev near");
    ip("link set near up");
    ip("link set far up");
    let socket = UdpSocket::bind("192.0.2.1:0").unwrap();
    socket.set_broadcast(true).unwrap();

    let mut psutil = Psutil::start();
    let source = SystemMetricSource::new();
    collect(&source).await;
    let before = psutil.read(&[]);
    for _ in 0..DATAGRAMS {
        socket.send_to(&[7; DATAGRAM_BYTES], "192.0.2.255:9").unwrap();
    }
    SystemClock.sleep(Duration::from_secs(1)).await;
    let host = collect(&source).await;
    let after = psutil.read(&[]);

    let mut comparison = Comparison::default();
    networks(&mut comparison, &host, &before, &after);
    println!("{}", comparison.table());
    assert!(comparison.holds(), "{}", comparison.table());
    let near = host.networks.iter().find(|network| network.interface == "near").unwrap();
    let far = host.networks.iter().find(|network| network.interface == "far").unwrap();
    // Each datagram has headers of UDP, IP and Ethernet.
    let wire = (DATAGRAMS * (DATAGRAM_BYTES as u64 + 8 + 20 + 14)) as f64;
    for counted in [near.sent_bytes_per_second, far.received_bytes_per_second] {
        let bytes = counted * host.cpu.interval_seconds;
        assert!((bytes / wire - 1.0).abs() < 0.02, "{bytes} bytes counted, {wire} sent: {:?}", host.networks);
    }
}

fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).status();
    assert!(done.is_ok_and(|status| status.success()), "ip {arguments}: scripts/install.sh test installs it");
}
