//! A Redis that accepts only TLS connections.

use sutazai_core::ErrorKind;
use sutazai_store::redis::Redis;

use crate::certificates::Certificates;
use crate::place::Server;

#[tokio::test]
async fn only_a_certificate_with_trusted_root_and_matching_name_is_accepted() {
    let (right, other) = (Certificates::of("127.0.0.1"), Certificates::of("127.0.0.1"));
    let server = Server::start_with(None, &[("SUTAZAI_TEST_TLS", right.folder())]);
    assert!(server.url.starts_with("rediss://"), "{}", server.url);
    let roots = std::fs::read(right.root()).unwrap();
    Redis::at(&server.url, Some(&roots)).unwrap().ping().await.unwrap();

    let other = std::fs::read(other.root()).unwrap();
    let plain = server.url.replace("rediss://", "redis://");
    let misnamed = server.url.replace("127.0.0.1", "localhost");
    for (url, roots) in [
        (&server.url, Some(&other)),
        // The system does not trust the root.
        (&server.url, None),
        (&misnamed, Some(&roots)),
        (&plain, None),
    ] {
        let e = Redis::at(url, roots.map(Vec::as_slice)).unwrap().ping().await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
        assert!(!format!("{e:?}").contains("horse"), "{e:?}");
    }
}

#[tokio::test]
async fn invalid_tls_setting_is_named() {
    let roots = std::fs::read(Certificates::of("localhost").root()).unwrap();
    for (url, roots, setting) in [
        ("rediss://localhost/#insecure", None, "REDIS_URL"),
        ("rediss://localhost/", Some(&b"a letter"[..]), "REDIS_CA_FILE"),
        ("redis://localhost/", Some(roots.as_slice()), "REDIS_CA_FILE"),
    ] {
        let e = Redis::at(url, roots).unwrap_err();
        assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some(setting)), "{url}: {e}");
    }
}
