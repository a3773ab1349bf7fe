//! Section `containers` while the engine is absent, has died, or hangs: it is missing with a reason, and present again
//! as soon as the engine is.

use std::os::unix::net::UnixListener;
use std::time::Duration;

use sutazai_agent::metrics::DockerMetricSource;
use sutazai_core::ErrorKind;
use sutazai_core::ports::{Clock, MetricSource, SystemClock};
use sutazai_core::testing::metric_source::nothing_to_measure_is_unavailable;

use super::containers::collect;
use super::engine::Engine;

async fn reason(source: &DockerMetricSource) -> String {
    let e = source.collect().await.expect_err("an engine that does not answer was measured");
    assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
    e.message().to_owned()
}

#[tokio::test]
async fn absent_engine_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let source = std::sync::Arc::new(DockerMetricSource::with_host(format!("unix://{}", socket.display())));
    nothing_to_measure_is_unavailable(source.clone()).await;
    let missing = reason(&source).await;
    assert!(missing.starts_with(&format!("there is no Docker socket at {}", socket.display())), "{missing}");
    assert!(missing.contains("DOCKER_HOST is") && missing.contains("such as unix:///"), "{missing}");
    // A socket file remains after its listener has closed.
    drop(UnixListener::bind(&socket).unwrap());
    let stopped = reason(&source).await;
    assert!(stopped.starts_with(&format!("no Docker engine listens at {}", socket.display())), "{stopped}");
    let remote = DockerMetricSource::with_host("tcp://192.0.2.1:2375");
    assert!(reason(&remote).await.contains("`unix://`"), "{}", reason(&remote).await);
}

#[tokio::test]
async fn foreign_server_at_the_socket_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let talking = tokio::spawn(async move {
        loop {
            let (mut peer, _) = listener.accept().await.unwrap();
            let _ = tokio::io::AsyncWriteExt::write_all(&mut peer, b"220 mail.example ESMTP\r\n").await;
        }
    });
    let source = DockerMetricSource::with_host(format!("unix://{}", socket.display()));
    let reason = reason(&source).await;
    assert!(reason.starts_with("unexpected response of the Docker engine: "), "{reason}");
    assert!(reason.contains(": GET /"), "which request failed? {reason}");
    talking.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_or_dead_engine_is_unavailable_until_it_returns() {
    let _machine = super::MACHINE.read().await;
    let engine = Engine::start();
    engine.import("load", &[]);
    engine.run("sleeping", &[], "load", &["sleep"]);
    let source = DockerMetricSource::with_host(engine.host());
    assert_eq!(collect(&source).await.running, 1);

    engine.signal("-STOP");
    let hanging = reason(&source).await;
    engine.signal("-CONT");
    assert_eq!(hanging, "the Docker engine did not answer within 3s");
    assert_eq!(collect(&source).await.running, 1, "it goes on, and so does the source");

    engine.signal("-KILL");
    // A dying engine still accepts a connection, but never answers.
    let mut dead = reason(&source).await;
    for _ in 0..50 {
        if dead.starts_with("no Docker engine listens at ") {
            break;
        }
        SystemClock.sleep(Duration::from_millis(100)).await;
        dead = reason(&source).await;
    }
    assert!(dead.starts_with("no Docker engine listens at "), "{dead}");
    engine.start_again();
    assert_eq!(collect(&source).await.total, 1, "it was started again, and so is the source");
}
