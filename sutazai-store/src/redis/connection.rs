//! The one Redis connection of a process, and what it does while Redis is unreachable.
//!
//! No call waits for an unreachable Redis: after a failure calls fail at once, except for one call per second
//! that tries again. The log has one line when Redis becomes unreachable and one when it is reachable again.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, ConnectionAddr, RedisError, TlsCertificates};
use sutazai_core::{Error, Result};

/// Timeout of one call: after that time the database would have answered as well.
const CALL_TIMEOUT: Duration = Duration::from_millis(500);
/// Interval of the calls that try an unreachable Redis again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// First line of a certificate in PEM (RFC 7468).
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Connection to a Redis, made on the first call. Clones share the connection.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    /// Time of the next attempt while Redis is unreachable; `None` otherwise.
    away: Arc<Mutex<Option<Instant>>>,
}

impl Redis {
    /// Creates a handle for the Redis at `redis://user:password@host:6379/0`, or at `rediss://...` over TLS.
    /// Redis need not be running yet. Its certificate is verified against the system's roots, or only against
    /// `roots`, in PEM.
    ///
    /// Must be called in a Tokio runtime that outlives the handle.
    ///
    /// # Errors
    /// `InvalidInput` naming `REDIS_URL` for an address that cannot be parsed or that disables verification,
    /// and naming `REDIS_CA_FILE` for roots that are no certificates or that are given for a connection
    /// without TLS.
    pub fn at(url: &str, roots: Option<&[u8]>) -> Result<Self> {
        const EXPECTED: &str = "expected an address such as redis://user:password@127.0.0.1:6379/0";
        let bad = |_| Error::invalid("REDIS_URL", EXPECTED);
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(CALL_TIMEOUT))
            .set_response_timeout(Some(CALL_TIMEOUT));
        let client = with_roots(Client::open(url).map_err(bad)?, url, roots)?;
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(bad)?;
        Ok(Self { connection, away: Arc::default() })
    }

    /// Checks that Redis answers a `PING` now.
    ///
    /// # Errors
    /// `Unavailable` when it does not answer within 500 ms.
    pub async fn ping(&self) -> Result<()> {
        let mut connection = self.connection.clone();
        let ping = async move { ::redis::cmd("PING").query_async::<()>(&mut connection).await };
        self.track(tokio::time::timeout(CALL_TIMEOUT, ping).await)
    }

    /// Runs one call over the connection.
    ///
    /// # Errors
    /// `Unavailable`, at once while Redis is known to be unreachable, otherwise when it does not answer
    /// within 500 ms.
    pub(super) async fn run<T, F>(&self, call: impl FnOnce(ConnectionManager) -> F) -> Result<T>
    where
        F: Future<Output = std::result::Result<T, RedisError>>,
    {
        if !self.may_try() {
            return Err(Error::unavailable("Redis is unreachable"));
        }
        self.track(tokio::time::timeout(CALL_TIMEOUT, call(self.connection.clone())).await)
    }

    /// Returns whether this call may try: while Redis is unreachable, one call per second.
    fn may_try(&self) -> bool {
        let now = Instant::now();
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        match away.as_mut() {
            Some(again) if *again > now => false,
            Some(again) => {
                *again = now + RETRY_INTERVAL;
                true
            }
            None => true,
        }
    }

    /// Records whether Redis was reachable, and logs a change.
    fn track<T>(
        &self,
        answer: std::result::Result<std::result::Result<T, RedisError>, tokio::time::error::Elapsed>,
    ) -> Result<T> {
        let answer = match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(e)) => Err(Error::unavailable(format!("Redis: {e}"))),
            Err(_) => Err(Error::unavailable("Redis did not answer in time")),
        };
        let again = answer.as_ref().err().map(|_| Instant::now() + RETRY_INTERVAL);
        let before = {
            let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *away, again)
        };
        match (&answer, before) {
            (Err(e), None) => tracing::warn!(
                error = %e,
                "Redis unreachable; each process counts requests alone and shares no cache"
            ),
            (Ok(_), Some(_)) => tracing::info!("Redis reachable again"),
            _ => {}
        }
        answer
    }
}

/// Adds custom root certificates to the client, if there are any.
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
    // The library searches for certificates in any text: a file without one would be accepted here, and later
    // trust no server.
    if !roots.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Err(bad());
    }
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(roots.to_vec()) };
    Client::build_with_tls(url, certificates).map_err(|_| bad())
}

impl fmt::Debug for Redis {
    /// Prints no address, which may contain a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redis")
    }
}
