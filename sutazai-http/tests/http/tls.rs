//! HTTPS with a certificate from files, and the errors of unusable files.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use reqwest::{Certificate, Client};
use sutazai_core::ErrorKind;
use sutazai_http::{SecuritySettings, ServerConfig, TlsFiles};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::support::Server;

/// Creates a certificate for `localhost` that is valid from this year on for a number of years, and its key.
fn certificate(from: i32, years: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(from + years, 1, 1);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn files(folder: &Path, certificate: &str, key: &str) -> ServerConfig {
    let files = TlsFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.certificate, certificate).unwrap();
    std::fs::write(&files.key, key).unwrap();
    std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o600)).unwrap();
    ServerConfig { tls: Some(files), header_timeout: Duration::from_millis(500), ..ServerConfig::default() }
}

#[tokio::test]
async fn answers_come_over_tls_and_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(2025, 100);
    let config = files(folder.path(), &certificate, &key);
    config.check().unwrap();
    let server = Server::start_exposed(SecuritySettings::default(), config).await;
    let root = Certificate::from_pem(certificate.as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([root]).build().unwrap();
    let url = format!("https://localhost:{}/health", server.address.port());
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=63072000");
    // A client that does not trust the certificate fails, and one without TLS is not served.
    assert!(Client::builder().tls_certs_only([]).build().unwrap().get(&url).send().await.is_err());
    assert!(Client::new().get(server.url("/health")).send().await.is_err());
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), silent.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a handshake that never begins holds its connection");
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
}

#[test]
fn unusable_certificate_or_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (good, key) = certificate(2025, 100);
    let (old, old_key) = certificate(2020, 1);
    let (future, future_key) = certificate(2090, 10);
    let (_, other_key) = certificate(2025, 100);
    for (setting, words, certificate, key) in [
        ("TLS_CERT", "expired at", &old, &old_key),
        ("TLS_CERT", "is not valid before", &future, &future_key),
        ("TLS_KEY", "is not that of the certificate", &good, &other_key),
        ("TLS_CERT", "found none", &key, &key),
        ("TLS_KEY", "expected a PEM private key", &good, &good),
        ("TLS_CERT", "expected", &"nonsense".to_owned(), &key),
        (
            "TLS_KEY",
            "expected",
            &good,
            &"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned(),
        ),
    ] {
        let e = files(folder.path(), certificate, key).check().unwrap_err();
        assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some(setting)), "{e}");
        assert!(e.to_string().contains(words), "{words}: {e}");
        assert!(!e.to_string().contains("BEGIN PRIVATE"), "{e}");
    }
    let none = TlsFiles { certificate: folder.path().join("none.pem"), key: folder.path().join("none.pem") };
    let e = ServerConfig { tls: Some(none), ..ServerConfig::default() }.check().unwrap_err();
    assert_eq!(e.field(), Some("TLS_CERT"));
    assert!(e.to_string().contains("none.pem"), "{e}");
}
