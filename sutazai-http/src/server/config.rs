//! Settings of a server: TLS and limits of connections.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sutazai_core::Result;
use sutazai_core::ports::SystemClock;

use super::tls::Tls;
use crate::security::TrustedProxies;

/// Connection settings of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// TLS certificate and key; `None`: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Maximum time in which a connection must send the head of a request, counted from its opening or from the end
    /// of the previous request; also the maximum duration of a TLS handshake. Default 30 s.
    pub header_timeout: Duration,
    /// Maximum number of concurrent connections, streams included; further ones wait until one ends. Default 10,000.
    pub max_connections: usize,
    /// Maximum number of connections of one address, an IPv6 /64 counted as one; further ones are closed at once.
    /// Default 256.
    pub max_connections_per_address: usize,
    /// Proxies in front of the server, whose connections are not limited by address.
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
    /// Checks whether a server can be started with these settings.
    ///
    /// # Errors
    /// `InvalidInput` naming `TLS_CERT` or `TLS_KEY`: a file cannot be read, the certificate has expired or is not
    /// valid yet, or the key does not belong to it.
    pub fn check(&self) -> Result<()> {
        self.tls.as_ref().map_or(Ok(()), |files| Tls::open(files, Arc::new(SystemClock)).map(|_| ()))
    }
}

/// Paths of a certificate and its key, both in PEM. The files are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain, from the server's certificate to the root.
    pub certificate: PathBuf,
    /// Private key of the certificate.
    pub key: PathBuf,
}
