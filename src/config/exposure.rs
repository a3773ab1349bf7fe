//! Settings of the server's connections and rate limits, and lists of origins and proxies.

use std::path::PathBuf;
use std::str::FromStr;

use sutazai_core::Error;
use sutazai_http::{ServerConfig, TlsFiles, TrustedProxies};

use super::RequestsPerMinute;
use super::layers::Layers;

impl Layers {
    /// Reads the settings of the server's connections.
    pub(super) fn server(
        &self,
        trusted_proxies: Option<&TrustedProxies>,
        problems: &mut Vec<Error>,
    ) -> Option<ServerConfig> {
        let header_timeout = self.seconds("HEADER_TIMEOUT_SECONDS", problems);
        let max_connections = self.number("MAX_CONNECTIONS", problems);
        let max_connections_per_address = self.number("MAX_CONNECTIONS_PER_ADDRESS", problems);
        let tls = match (self.text("TLS_CERT"), self.text("TLS_KEY")) {
            (Some(certificate), Some(key)) => {
                Some(TlsFiles { certificate: PathBuf::from(certificate), key: PathBuf::from(key) })
            }
            (Some(_), None) => {
                problems.push(Error::invalid("TLS_KEY", "must be set when TLS_CERT is"));
                None
            }
            (None, Some(_)) => {
                problems.push(Error::invalid("TLS_CERT", "must be set when TLS_KEY is"));
                None
            }
            (None, None) => None,
        };
        Some(ServerConfig {
            tls,
            header_timeout: header_timeout?,
            max_connections: max_connections?,
            max_connections_per_address: max_connections_per_address?,
            trusted_proxies: trusted_proxies.cloned()?,
        })
    }

    /// Reads the rate limits; the inner `None` means no limit.
    pub(super) fn rate_limits(&self, problems: &mut Vec<Error>) -> Option<Option<RequestsPerMinute>> {
        let enabled = self.switch("ENABLE_RATE_LIMITING", problems);
        let sign_in = self.number("RATE_LIMIT_AUTH_PER_MINUTE", problems);
        let calls = self.number("RATE_LIMIT_PER_MINUTE", problems);
        let limits = RequestsPerMinute { sign_in: sign_in?, calls: calls? };
        Some(enabled?.then_some(limits))
    }

    /// Reads a list that its type can parse; empty when it is not set.
    pub(super) fn list<T: FromStr<Err = Error> + Default>(
        &self,
        name: &'static str,
        problems: &mut Vec<Error>,
    ) -> Option<T> {
        match self.text(name).unwrap_or_default().parse::<T>() {
            Ok(list) => Some(list),
            Err(e) => {
                problems.push(e.with_field(name));
                None
            }
        }
    }
}
