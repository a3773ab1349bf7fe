//! The one connection of a process, and what it does while Redis is away.
//!
//! Nobody waits for what is not there: after a failure calls fail at once, but for one a second that tries again. The log
//! has one line when Redis goes and one when it is back.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, ConnectionAddr, RedisError, TlsCertificates};
use sutazai_core::{Error, Result};

/// How long one call may take: what is behind it is quicker asked of the database than waited for.
const LIMIT: Duration = Duration::from_millis(500);
/// The time between two attempts to reach a Redis that is away.
const AGAIN: Duration = Duration::from_secs(1);

/// How a certificate in PEM begins (RFC 7468).
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// A Redis, at first not connected. Clones share the connection.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    /// While it is away: when to try again.
    away: Arc<Mutex<Option<Instant>>>,
}

impl Redis {
    /// The Redis at `redis://user:password@host:6379/0`, or at `rediss://...` over TLS. It need not be there yet. Its
    /// certificate is checked against the system's roots, or against those of `roots` alone, in PEM.
    ///
    /// Must be called in a tokio runtime that outlives it.
    ///
    /// # Errors
    /// `InvalidInput` naming `REDIS_URL` for an address that cannot be understood or that asks for no checks, and
    /// `REDIS_CA_FILE` for roots that are no certificates or that a connection without TLS has no use for.
    pub fn at(url: &str, roots: Option<&[u8]>) -> Result<Self> {
        const EXPECTED: &str = "expected an address such as redis://user:password@127.0.0.1:6379/0";
        let bad = |_| Error::invalid("REDIS_URL", EXPECTED);
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(LIMIT))
            .set_response_timeout(Some(LIMIT));
        let client = with_roots(Client::open(url).map_err(bad)?, url, roots)?;
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(bad)?;
        Ok(Self { connection, away: Arc::default() })
    }

    /// Whether it answers now.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn reach(&self) -> Result<()> {
        let mut connection = self.connection.clone();
        let ping = async move { ::redis::cmd("PING").query_async::<()>(&mut connection).await };
        self.settle(tokio::time::timeout(LIMIT, ping).await)
    }

    /// Runs one call over the connection.
    ///
    /// # Errors
    /// `Unavailable`: at once while Redis is known to be away, else when it does not answer in time.
    pub(super) async fn run<T, F>(&self, call: impl FnOnce(ConnectionManager) -> F) -> Result<T>
    where
        F: Future<Output = std::result::Result<T, RedisError>>,
    {
        if !self.may_try() {
            return Err(Error::unavailable("Redis is away"));
        }
        self.settle(tokio::time::timeout(LIMIT, call(self.connection.clone())).await)
    }

    /// While it is away, one caller in a while may try.
    fn may_try(&self) -> bool {
        let now = Instant::now();
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        match away.as_mut() {
            Some(again) if *again > now => false,
            Some(again) => {
                *again = now + AGAIN;
                true
            }
            None => true,
        }
    }

    /// Remembers whether it is there, and says so when that has changed.
    fn settle<T>(
        &self,
        answer: std::result::Result<std::result::Result<T, RedisError>, tokio::time::error::Elapsed>,
    ) -> Result<T> {
        let answer = match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(e)) => Err(Error::unavailable(format!("Redis: {e}"))),
            Err(_) => Err(Error::unavailable("Redis did not answer in time")),
        };
        let again = answer.as_ref().err().map(|_| Instant::now() + AGAIN);
        let before = {
            let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *away, again)
        };
        match (&answer, before) {
            (Err(e), None) => tracing::warn!(
                error = %e,
                "Redis is away: each process counts requests by itself, and nothing is remembered together"
            ),
            (Ok(_), Some(_)) => tracing::info!("Redis is back"),
            _ => {}
        }
        answer
    }
}

/// The client with its own roots, where there are any.
fn with_roots(client: Client, url: &str, roots: Option<&[u8]>) -> Result<Client> {
    let address = client.get_connection_info().addr();
    if matches!(address, ConnectionAddr::TcpTls { insecure: true, .. }) {
        let why = "#insecure is not supported; name the server's root certificate in REDIS_CA_FILE instead";
        return Err(Error::invalid("REDIS_URL", why));
    }
    let Some(roots) = roots else { return Ok(client) };
    if !matches!(address, ConnectionAddr::TcpTls { .. }) {
        let why = "expected a REDIS_URL that begins with rediss://, or no such file";
        return Err(Error::invalid("REDIS_CA_FILE", why));
    }
    let bad = || Error::invalid("REDIS_CA_FILE", "expected certificates in PEM");
    // Certificates are searched for in any text: a file without one would trust nobody, and say so much later.
    if !roots.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Err(bad());
    }
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(roots.to_vec()) };
    Client::build_with_tls(url, certificates).map_err(|_| bad())
}

impl fmt::Debug for Redis {
    /// Without the address, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redis")
    }
}
