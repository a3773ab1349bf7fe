//! A broker that accepts only TLS connections.

use std::path::Path;

use sutazai_core::ErrorKind;
use sutazai_core::domain::BusMessage;
use sutazai_core::ports::MessageBus;
use sutazai_store::rabbitmq::RabbitMqMessageBus;

use crate::broker::Broker;
use crate::certificates::Certificates;

#[tokio::test(flavor = "multi_thread")]
async fn only_a_certificate_with_trusted_root_and_matching_name_is_accepted() {
    let (right, other) = (Certificates::of("127.0.0.1"), Certificates::of("127.0.0.1"));
    let broker = Broker::start_with(&[("SUTAZAI_TEST_TLS", right.folder())]);
    assert!(broker.url.starts_with("amqps://"), "{}", broker.url);
    let with = |url: &str, roots: &Path| format!("{url}?heartbeat=30&cacertfile={}", roots.display());
    let bus = RabbitMqMessageBus::at(&with(&broker.url, &right.root())).unwrap();
    bus.ping().await.unwrap();
    // Many times the size of a TLS record (16 KiB), in both directions, since each message is confirmed.
    let body = "x".repeat(100_000);
    let message = |n: u32| BusMessage {
        id: format!("a:{n}"),
        topic: "suite.tls".into(),
        body: body.clone(),
        trace: None,
    };
    bus.publish(&(0..50).map(message).collect::<Vec<_>>()).await.unwrap();

    let misnamed = broker.url.replace("127.0.0.1", "localhost");
    for (url, reason) in [
        (with(&broker.url, &other.root()), "UnknownIssuer"),
        // The system does not trust the root.
        (broker.url.clone(), "UnknownIssuer"),
        (with(&misnamed, &right.root()), "not valid for name \"localhost\""),
    ] {
        let e = RabbitMqMessageBus::at(&url).unwrap().ping().await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
        assert!(e.to_string().contains(reason), "{reason}: {e}");
        assert!(!format!("{e:?}").contains(&url), "{e:?}");
    }
    let plain = RabbitMqMessageBus::at(&broker.url.replace("amqps://", "amqp://")).unwrap();
    assert_eq!(plain.ping().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn file_without_certificates_names_the_setting() {
    let folder = tempfile::tempdir().unwrap();
    let (letter, broken) = (folder.path().join("letter"), folder.path().join("broken.pem"));
    std::fs::write(&letter, "a letter").unwrap();
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n").unwrap();
    for file in [&letter, &broken, &folder.path().join("nowhere")] {
        let url = format!("amqps://me:correct-horse@localhost/%2f?cacertfile={}", file.display());
        let e = RabbitMqMessageBus::at(&url).unwrap_err();
        assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("RABBITMQ_URL")), "{e}");
        assert!(e.to_string().contains("cacertfile") && !e.to_string().contains("horse"), "{e}");
    }
}
