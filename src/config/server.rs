//! Settings of the HTTP server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sutazai_core::Error;
use sutazai_http::{CorsOrigins, ServerConfig, TlsFiles, TrustedProxies};

use super::layers::Layers;
use super::secret::Secret;
use super::settings::{Values, setting_named};

/// Settings of the HTTP server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSettings {
    /// Address that the server listens on.
    pub listen: SocketAddr,
    /// Requires callers to sign in; off only on a loopback address.
    pub enable_auth: bool,
    /// TLS, timeouts and limits of the server's connections.
    pub connections: ServerConfig,
    /// Rate limits of callers; `None`: no limit.
    pub rate_limits: Option<RequestsPerMinute>,
    /// Proxies whose headers about a caller's address are trusted.
    pub trusted_proxies: TrustedProxies,
    /// Origins whose pages may call from a browser.
    pub cors_origins: CorsOrigins,
    /// Timeout of a whole request.
    pub request_timeout: Duration,
    /// Timeout within which the body of a request must arrive.
    pub body_timeout: Duration,
    /// Memory in bytes that the bodies of all requests may use at once, parsed.
    pub body_memory: usize,
    /// Maximum number of event streams and WebSockets of one user at once.
    pub streams_per_user: usize,
    /// Serves the metrics at `/metrics`.
    pub enable_monitoring: bool,
    /// Bearer token for `/metrics`; `None`: only programs on this machine may read it.
    pub metrics_token: Option<Secret>,
}

/// Rate limits in requests per minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestsPerMinute {
    /// Requests in which passwords or refresh tokens can be guessed, per address.
    pub sign_in: u32,
    /// All other requests, per user.
    pub calls: u32,
}

impl Layers {
    /// Reads the settings of the server. Unless the process `serves`, the combinations of them are not checked.
    pub(super) fn server(
        &self,
        serves: bool,
        enable_auth: Option<bool>,
        problems: &mut Vec<Error>,
    ) -> Option<ServerSettings> {
        let trusted_proxies = self.list("TRUSTED_PROXIES", problems);
        let connections = self.connections(trusted_proxies.as_ref(), problems);
        let rate_limits = self.rate_limits(problems);
        let cors_origins: Option<CorsOrigins> = self.list("CORS_ORIGINS", problems);
        let request_timeout = self.seconds("REQUEST_TIMEOUT_SECONDS", problems);
        let body_timeout = self.seconds("BODY_TIMEOUT_SECONDS", problems);
        let body_memory: Option<usize> = self.number("BODY_MEMORY_MB", problems);
        let streams_per_user = self.number("MAX_STREAMS_PER_USER", problems);
        let listen = self.listen(problems);
        let enable_monitoring = self.switch("ENABLE_MONITORING", problems);
        let metrics_token = self.secret("METRICS_TOKEN", problems);
        if let (Some(false), Some(listen)) = (enable_auth, listen)
            && serves
            && !listen.ip().is_loopback()
        {
            let why = format!("may be off only on a loopback address, and LISTEN is {listen}");
            problems.push(Error::invalid("ENABLE_AUTH", why));
        }
        if let (Some(false), Some(origins)) = (enable_auth, &cors_origins)
            && serves
            && origins.all()
        {
            let why = "expected origins such as http://localhost:3000, got *, which lets every page in when ENABLE_AUTH is off";
            problems.push(Error::invalid("CORS_ORIGINS", why));
        }
        Some(ServerSettings {
            listen: listen?,
            enable_auth: enable_auth?,
            connections: connections?,
            rate_limits: rate_limits?,
            trusted_proxies: trusted_proxies?,
            cors_origins: cors_origins?,
            request_timeout: request_timeout?,
            body_timeout: body_timeout?,
            body_memory: body_memory? * 1_000_000,
            streams_per_user: streams_per_user?,
            enable_monitoring: enable_monitoring?,
            metrics_token,
        })
    }

    /// Reads the address that the server listens on.
    fn listen(&self, problems: &mut Vec<Error>) -> Option<SocketAddr> {
        let text = self.text("LISTEN")?;
        let address = text.parse().ok();
        if address.is_none() {
            let wanted = format!("expected an address and a port such as 127.0.0.1:10010, got {text:?}");
            problems.push(Error::invalid("LISTEN", wanted));
        }
        address
    }

    /// Reads a secret of at least the minimum length of its setting.
    fn secret(&self, name: &'static str, problems: &mut Vec<Error>) -> Option<Secret> {
        let Values::Secret { min_bytes } = setting_named(name)?.values else { return None };
        let secret = self.text(name).map(Secret::new)?;
        let length = secret.expose().len();
        if length < min_bytes {
            problems.push(Error::invalid(name, format!("expected at least {min_bytes} bytes, got {length}")));
        }
        Some(secret)
    }

    /// Reads the settings of the server's connections.
    fn connections(
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
    fn rate_limits(&self, problems: &mut Vec<Error>) -> Option<Option<RequestsPerMinute>> {
        let enabled = self.switch("ENABLE_RATE_LIMITING", problems);
        let sign_in = self.number("RATE_LIMIT_AUTH_PER_MINUTE", problems);
        let calls = self.number("RATE_LIMIT_PER_MINUTE", problems);
        let limits = RequestsPerMinute { sign_in: sign_in?, calls: calls? };
        Some(enabled?.then_some(limits))
    }

    /// Reads a list that its type can parse; empty when it is not set.
    fn list<T: FromStr<Err = Error> + Default>(
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

#[cfg(test)]
mod tests {
    use sutazai_http::SecuritySettings;

    use super::*;
    use crate::config::tests::{problems, read};

    #[test]
    fn everything_that_is_wrong_is_named_at_once() {
        let found = problems(&[
            ("WORKERS", "-1"),
            ("LISTEN", "here"),
            ("LOG_FORMAT", "xml"),
            ("JWT_SECRET_KEY", "short"),
            ("ARGON2_MEMORY_KIB", "64"),
            ("ARGON2_ITERATIONS", "0"),
            ("MODEL_SLOTS", "0"),
            ("MODEL_REQUESTS_PER_MINUTE", "-1"),
            ("MODEL_MAX_TOKENS", "511"),
            ("MAX_TASKS_PER_USER", "0"),
            ("TASKS_KEEP_DAYS", "0"),
            ("DEAD_LETTER_KEEP_DAYS", "30d"),
            ("AGENT_CONCURRENCY", "hardware-optimizer=2,model-puller"),
        ]);
        for name in [
            "WORKERS",
            "LISTEN",
            "LOG_FORMAT",
            "JWT_SECRET_KEY",
            "ARGON2_MEMORY_KIB",
            "ARGON2_ITERATIONS",
            "MODEL_SLOTS",
            "MODEL_REQUESTS_PER_MINUTE",
            "MODEL_MAX_TOKENS",
            "MAX_TASKS_PER_USER",
            "TASKS_KEEP_DAYS",
            "DEAD_LETTER_KEEP_DAYS",
            "AGENT_CONCURRENCY",
        ] {
            assert!(found.iter().any(|p| p.starts_with(name)), "{name} in {found:?}");
        }
        assert!(!found.iter().any(|p| p.contains("short")), "a secret was shown: {found:?}");
    }

    #[test]
    fn worker_process_needs_workers_but_no_key() {
        let production = [("ENVIRONMENT", "production"), ("LISTEN", "0.0.0.0:80"), ("WORKERS", "2")];
        let layers = read(&production, None, &[]);
        assert_eq!(layers.check_worker().unwrap().workers, 2);
        assert!(layers.check().is_err());
        let none = read(&[("WORKERS", "0")], None, &[]);
        assert_eq!(none.check().unwrap().workers, 0);
        let found = none.check_worker().unwrap_err();
        assert_eq!(found[0].field(), Some("WORKERS"));
        let found = problems(&[("LEASE_SECONDS", "0"), ("SHUTDOWN_GRACE_SECONDS", "-1")]);
        assert!(found[0].starts_with("LEASE_SECONDS: expected"), "{found:?}");
        assert!(found[1].starts_with("SHUTDOWN_GRACE_SECONDS: expected"), "{found:?}");
    }

    #[test]
    fn production_needs_its_secret_and_auth() {
        assert!(problems(&[("ENVIRONMENT", "production")])[0].starts_with("JWT_SECRET_KEY: must be set"));
        let open = [("ENABLE_AUTH", "false"), ("LISTEN", "0.0.0.0:80")];
        assert!(problems(&open)[0].starts_with("ENABLE_AUTH: may be off only"));
        let all = [("ENABLE_AUTH", "false"), ("CORS_ORIGINS", "*")];
        assert!(problems(&all)[0].starts_with("CORS_ORIGINS: expected origins"), "{:?}", problems(&all));
        assert!(read(&[("CORS_ORIGINS", "*")], None, &[]).check().is_ok());
    }

    #[test]
    fn strangers_are_limited_by_default() {
        let config = read(&[], None, &[]).check().unwrap();
        assert_eq!(config.server.rate_limits, Some(RequestsPerMinute { sign_in: 5, calls: 60 }));
        let (found, security) = (&config.server, SecuritySettings::default());
        assert_eq!(
            (found.request_timeout, found.body_timeout),
            (security.request_timeout, security.body_timeout)
        );
        assert_eq!(
            (found.body_memory, found.streams_per_user),
            (security.body_memory, security.streams_per_user)
        );
        assert_eq!((found.listen, found.enable_auth), ("127.0.0.1:10010".parse().unwrap(), true));
        assert_eq!(config.server.connections, ServerConfig::default());
        assert_eq!((config.server.trusted_proxies, config.server.cors_origins), Default::default());
        let free = read(&[("ENABLE_RATE_LIMITING", "off")], None, &[]).check().unwrap();
        assert_eq!(free.server.rate_limits, None);
        let found = problems(&[
            ("RATE_LIMIT_AUTH_PER_MINUTE", "0"),
            ("RATE_LIMIT_PER_MINUTE", "many"),
            ("TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
            ("CORS_ORIGINS", "https://app.example.org/"),
            ("REQUEST_TIMEOUT_SECONDS", "0"),
            ("BODY_TIMEOUT_SECONDS", "-1"),
            ("HEADER_TIMEOUT_SECONDS", "forever"),
            ("MAX_CONNECTIONS", "0"),
            ("MAX_CONNECTIONS_PER_ADDRESS", "0"),
            ("MAX_STREAMS_PER_USER", "no"),
            ("BODY_MEMORY_MB", "1"),
            ("TLS_CERT", "/cert.pem"),
        ]);
        for name in [
            "RATE_LIMIT_AUTH_PER_MINUTE: expected",
            "RATE_LIMIT_PER_MINUTE: expected",
            "TRUSTED_PROXIES: expected networks",
            "CORS_ORIGINS: expected * or origins",
            "REQUEST_TIMEOUT_SECONDS: expected",
            "BODY_TIMEOUT_SECONDS: expected",
            "HEADER_TIMEOUT_SECONDS: expected",
            "MAX_CONNECTIONS: expected",
            "MAX_CONNECTIONS_PER_ADDRESS: expected",
            "MAX_STREAMS_PER_USER: expected",
            "BODY_MEMORY_MB: expected",
            "TLS_KEY: must be set when TLS_CERT is",
        ] {
            assert!(found.iter().any(|p| p.starts_with(name)), "{name} in {found:?}");
        }
        assert_eq!(found.len(), 12, "{found:?}");
    }

    #[test]
    fn monitoring_is_on_and_traces_are_off_unless_set() {
        let config = read(&[], None, &[]).check().unwrap();
        assert_eq!((config.server.enable_monitoring, config.otlp_endpoint), (true, None));
        let found =
            problems(&[("METRICS_TOKEN", "short"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")]);
        assert_eq!(found[0], "METRICS_TOKEN: expected at least 16 bytes, got 5");
        assert!(found[1].starts_with("OTEL_EXPORTER_OTLP_ENDPOINT: expected an address"), "{found:?}");
    }
}
