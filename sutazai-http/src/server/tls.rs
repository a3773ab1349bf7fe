//! The certificate: read and checked at the start, and again when its files have changed, so that a renewed one needs no
//! restart. TLS 1.2 and 1.3 by rustls with aws-lc-rs.

use std::fs;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use sutazai_core::ports::Clock;
use sutazai_core::{Error, Result};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, InconsistentKeys};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::TlsFiles;
use crate::private_file::read_private_file;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(60);
const CERTIFICATE: &str = "TLS_CERT";
const KEY: &str = "TLS_KEY";

/// What is needed to speak TLS.
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    files: TlsFiles,
    clock: Arc<dyn Clock>,
    seen: Changed,
}

/// When the two files were changed last.
type Changed = [Option<SystemTime>; 2];

/// The certificate that new connections get.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl Tls {
    /// Reads and checks the files.
    pub(super) fn open(files: &TlsFiles, clock: Arc<dyn Clock>) -> Result<Self> {
        let seen = changed(files);
        let current = Arc::new(Current(RwLock::new(Arc::new(read(files, &*clock)?))));
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::internal("TLS cannot be set up").with_source(e))?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, current, files: files.clone(), clock, seen })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Looks for a renewed certificate, without end. One that cannot be used is told in the log; the one before it stays.
    pub(super) fn renew(&self) -> impl Future<Output = ()> + Send + 'static {
        let (files, current, clock) = (self.files.clone(), self.current.clone(), self.clock.clone());
        let mut seen = self.seen;
        async move {
            loop {
                clock.sleep(LOOK).await;
                let now = changed(&files);
                if now == seen {
                    continue;
                }
                seen = now;
                match read(&files, &*clock) {
                    Ok(key) => {
                        *current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                        tracing::info!("the TLS certificate was renewed");
                    }
                    Err(e) => tracing::error!(error = %e, "the changed TLS certificate is not used"),
                }
            }
        }
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn changed(files: &TlsFiles) -> Changed {
    [&files.certificate, &files.key].map(|path| fs::metadata(path).and_then(|data| data.modified()).ok())
}

/// The certificate with its key, if they belong together and the time is right.
fn read(files: &TlsFiles, clock: &dyn Clock) -> Result<CertifiedKey> {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|e| {
            Error::invalid(CERTIFICATE, format!("expected PEM certificates in {certificate}: {e}"))
        })?;
    let first = chain.first();
    let first = first.ok_or_else(|| {
        Error::invalid(CERTIFICATE, format!("expected a PEM certificate in {certificate}, found none"))
    })?;
    let (_, parsed) = X509Certificate::from_der(first)
        .map_err(|e| Error::invalid(CERTIFICATE, format!("expected a certificate in {certificate}: {e}")))?;
    let (now, validity) = (clock.now().timestamp(), parsed.validity());
    if now < validity.not_before.timestamp() {
        let why = format!("the certificate in {certificate} is good from {} on only", validity.not_before);
        return Err(Error::invalid(CERTIFICATE, why));
    }
    if now > validity.not_after.timestamp() {
        let why = format!("the certificate in {certificate} has expired at {}", validity.not_after);
        return Err(Error::invalid(CERTIFICATE, why));
    }
    let text = read_private_file(&files.key)
        .map_err(|e| Error::invalid(KEY, format!("the private key cannot be read: {e}")))?;
    let private = PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|e| Error::invalid(KEY, format!("expected a PEM private key in {key}: {e}")))?;
    CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider()).map_err(|e| match e {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            Error::invalid(KEY, format!("the key in {key} is not that of the certificate in {certificate}"))
        }
        e => Error::invalid(KEY, format!("expected a private key that can be used in {key}: {e}")),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use sutazai_core::testing::ManualClock;

    use super::*;

    fn write(folder: &Path) -> TlsFiles {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let files = TlsFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
        files
    }

    /// Time passes, and whatever was to happen then has happened.
    async fn a_minute_later(clock: &ManualClock) {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        clock.advance(LOOK);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path());
        let clock = Arc::new(ManualClock::new());
        let tls = Tls::open(&files, clock.clone()).unwrap();
        let given = || tls.current.0.read().unwrap().clone();
        let first = given();
        let watch = tokio::spawn(tls.renew());
        a_minute_later(&clock).await;
        assert!(Arc::ptr_eq(&first, &given()), "nothing was renewed");
        write(folder.path());
        a_minute_later(&clock).await;
        let second = given();
        assert_ne!(first.cert, second.cert);
        fs::write(&files.certificate, "half a file").unwrap();
        a_minute_later(&clock).await;
        assert!(Arc::ptr_eq(&second, &given()));
        write(folder.path());
        a_minute_later(&clock).await;
        assert_ne!(second.cert, given().cert, "after a broken one nothing was renewed");
        watch.abort();
    }
}
