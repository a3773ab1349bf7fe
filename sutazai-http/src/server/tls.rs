//! TLS certificate: loaded and checked at startup, and reloaded when its files change, so that a renewed certificate
//! needs no restart. TLS 1.2 and 1.3 with rustls and aws-lc-rs.

use std::fs;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use sutazai_core::adapter::read_private_file;
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

/// Interval at which the files are checked for changes. Polling also works for symbolic links and mounted secrets,
/// where file notifications are unreliable.
const RELOAD_INTERVAL: Duration = Duration::from_secs(60);
const CERTIFICATE: &str = "TLS_CERT";
const KEY: &str = "TLS_KEY";

/// TLS acceptor with the certificate that it currently uses.
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    files: TlsFiles,
    clock: Arc<dyn Clock>,
    seen: Changed,
}

/// Modification times of the certificate and the key.
type Changed = [Option<SystemTime>; 2];

/// Certificate for new connections.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl Tls {
    /// Loads and checks the files.
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

    /// Reloads the certificate whenever its files change; never returns. A certificate that cannot be used is logged,
    /// and the previous one stays in use.
    pub(super) fn renew(&self) -> impl Future<Output = ()> + Send + 'static {
        let (files, current, clock) = (self.files.clone(), self.current.clone(), self.clock.clone());
        let mut seen = self.seen;
        async move {
            loop {
                clock.sleep(RELOAD_INTERVAL).await;
                let now = changed(&files);
                if now == seen {
                    continue;
                }
                seen = now;
                match read(&files, &*clock) {
                    Ok(key) => {
                        *current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                        tracing::info!("TLS certificate reloaded");
                    }
                    Err(e) => tracing::error!(error = %e, "TLS certificate reload failed"),
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

/// Reads the certificate chain and its key; checks that they belong together and that the certificate is valid now.
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
        let why = format!("the certificate in {certificate} is not valid before {}", validity.not_before);
        return Err(Error::invalid(CERTIFICATE, why));
    }
    if now > validity.not_after.timestamp() {
        let why = format!("the certificate in {certificate} expired at {}", validity.not_after);
        return Err(Error::invalid(CERTIFICATE, why));
    }
    let text = read_private_file(&files.key, user())
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

/// Returns the effective user id of this process.
#[cfg(unix)]
fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns 0, because this system has no user ids.
#[cfg(not(unix))]
fn user() -> u32 {
    0
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

    /// Advances the clock by one reload interval and lets the woken tasks run.
    async fn advance_reload_interval(clock: &ManualClock) {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        clock.advance(RELOAD_INTERVAL);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn renewed_certificate_is_used_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path());
        let clock = Arc::new(ManualClock::new());
        let tls = Tls::open(&files, clock.clone()).unwrap();
        let given = || tls.current.0.read().unwrap().clone();
        let first = given();
        let watch = tokio::spawn(tls.renew());
        advance_reload_interval(&clock).await;
        assert!(Arc::ptr_eq(&first, &given()), "an unchanged certificate was reloaded");
        write(folder.path());
        advance_reload_interval(&clock).await;
        let second = given();
        assert_ne!(first.cert, second.cert);
        fs::write(&files.certificate, "half a file").unwrap();
        advance_reload_interval(&clock).await;
        assert!(Arc::ptr_eq(&second, &given()));
        write(folder.path());
        advance_reload_interval(&clock).await;
        assert_ne!(second.cert, given().cert, "no certificate was loaded after a broken one");
        watch.abort();
    }
}
