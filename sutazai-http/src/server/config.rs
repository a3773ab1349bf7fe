//! What one may ask of a server.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sutazai_core::Result;
use sutazai_core::ports::SystemClock;

use super::tls::Tls;
use crate::protection::TrustedProxies;

/// How a server treats its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// The certificate; none: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// How long a connection may take to send the head of a request, counted from its opening or from the end of the
    /// request before it; also how long a TLS handshake may take. Default 30 seconds.
    pub header_timeout: Duration,
    /// How many connections there may be at once, streams among them; more wait until one ends. Default 10,000.
    pub max_connections: usize,
    /// How many of them one address may have, an IPv6 /64 counted as one; more are closed at once. Default 256.
    pub max_connections_per_address: usize,
    /// Proxies in front of the server, whose connections do not count by address.
    pub trusted_proxies: TrustedProxies,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            tls: None,
            header_timeout: Duration::from_secs(30),
            max_connections: 10_000,
            max_connections_per_address: 256,
            trusted_proxies: TrustedProxies::default(),
        }
    }
}

impl ServerConfig {
    /// Whether a server can be started like this.
    ///
    /// # Errors
    /// `InvalidInput` naming `TLS_CERT` or `TLS_KEY`: a file that cannot be read, a certificate that has expired or is
    /// not good yet, a key that is another certificate's.
    pub fn check(&self) -> Result<()> {
        self.tls.as_ref().map_or(Ok(()), |files| Tls::open(files, Arc::new(SystemClock)).map(|_| ()))
    }
}

/// Where a certificate and its key are, both PEM. They are read again when they have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those up to its root.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}
