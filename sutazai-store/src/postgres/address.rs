//! Parses the address of a database into connection options.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sutazai_core::{Error, Result};

use super::pool_mode::PoolMode;
use super::timeout_class::SETTINGS;

/// Parameter for a pooler in transaction mode, as other clients of PostgreSQL also name it.
const POOLED: &str = "pgbouncer";

/// Address of one database.
#[derive(Clone)]
pub(super) struct Address {
    /// Options for connecting to it.
    pub(super) options: PgConnectOptions,
    /// Name of the database in messages, without credentials.
    pub(super) place: Place,
    /// Begin and end of transactions there.
    pub(super) pool_mode: PoolMode,
}

/// Name of a database in messages: `host:port/name`.
#[derive(Debug, Clone)]
pub(super) struct Place(String);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Address {
    /// Returns the host, or the folder of the socket, and the port of the server.
    pub(super) fn server(&self) -> (String, u16) {
        let folder = self.options.get_socket().map(|folder| folder.display().to_string());
        (folder.unwrap_or_else(|| self.options.get_host().to_owned()), self.options.get_port())
    }

    /// Returns the name of the database, by default that of the user.
    pub(super) fn database(&self) -> &str {
        self.options.get_database().unwrap_or_else(|| self.options.get_username())
    }

    /// Parses `url`, the value of `setting`. Logs a warning if it may lead over a network without TLS.
    ///
    /// # Errors
    /// `InvalidInput`, naming the setting.
    pub(super) fn read(url: &str, setting: &'static str) -> Result<Self> {
        let (url, pool_mode) = pool_mode(url).map_err(|e| e.with_field(setting))?;
        let options = PgConnectOptions::from_str(&url).map_err(|e| {
            let wanted = "expected an address such as postgres://user:password@host:5432/database";
            Error::invalid(setting, format!("{wanted}: {e}"))
        })?;
        let options = options.application_name("sutazai").disable_statement_logging();
        let options = match pool_mode {
            PoolMode::Direct => options.options(SETTINGS),
            PoolMode::Pooled => options.statement_cache_capacity(0).extra_float_digits(None),
        };
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        let place = match options.get_socket() {
            Some(folder) => format!("{}/{database}", folder.display()),
            None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
        };
        if may_be_plain(&options) {
            tracing::warn!(
                setting,
                host = options.get_host(),
                "PostgreSQL on another machine may be reached without TLS: add ?sslmode=verify-full"
            );
        }
        Ok(Self { options, place: Place(place), pool_mode })
    }
}

/// Returns whether passwords and data may cross a network unencrypted.
fn may_be_plain(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let is_here = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let is_optional =
        matches!(options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer);
    is_optional && !is_here
}

/// Splits our own parameter off the address, because sqlx would reject it; returns the rest and the pool
/// mode.
fn pool_mode(url: &str) -> Result<(String, PoolMode)> {
    let Some((place, parameters)) = url.split_once('?') else {
        return Ok((url.to_owned(), PoolMode::Direct));
    };
    let mut pool_mode = PoolMode::Direct;
    let mut others = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.split_once('=') {
            Some((POOLED, "true")) => pool_mode = PoolMode::Pooled,
            Some((POOLED, "false")) => pool_mode = PoolMode::Direct,
            Some((POOLED, other)) => {
                let wanted = format!("expected {POOLED}=true or {POOLED}=false, got {other:?}");
                return Err(Error::invalid("url", wanted));
            }
            _ => others.push(parameter),
        }
    }
    Ok((format!("{place}?{}", others.join("&")), pool_mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_host_without_tls_is_detected() {
        for (url, plain) in [
            ("postgres://me@db.example.org/x", true),
            ("postgres://me@10.0.0.1/x?sslmode=prefer", true),
            ("postgres://me@10.0.0.1/x?sslmode=disable", true),
            ("postgres://me@db.example.org/x?sslmode=require", false),
            ("postgres://me@db.example.org/x?sslmode=verify-full", false),
            ("postgres://me@127.0.0.1/x", false),
            ("postgres://me@localhost/x", false),
            ("postgres://me@[::1]/x", false),
            ("postgres://me@localhost/x?host=/run/postgresql", false),
        ] {
            assert_eq!(may_be_plain(&Address::read(url, "DATABASE_URL").unwrap().options), plain, "{url}");
        }
    }

    #[test]
    fn pooler_parameter_is_split_off_and_the_others_are_kept() {
        let read = |parameters: &str| {
            let url = format!("postgres://me:secret@db.example.org:6432/tasks{parameters}");
            Address::read(&url, "DATABASE_URL")
        };
        for (parameters, pool_mode) in [
            ("", PoolMode::Direct),
            ("?pgbouncer=false", PoolMode::Direct),
            ("?pgbouncer=true", PoolMode::Pooled),
            ("?sslmode=disable&pgbouncer=true&port=7000", PoolMode::Pooled),
        ] {
            let address = read(parameters).unwrap();
            assert_eq!(address.pool_mode, pool_mode, "{parameters}");
            let port = if parameters.contains("port") { 7000 } else { 6432 };
            assert_eq!(address.place.to_string(), format!("db.example.org:{port}/tasks"));
            // Poolers reject startup options.
            assert_eq!(address.options.get_options().is_some(), pool_mode == PoolMode::Direct);
        }
        let e = read("?pgbouncer=yes").err().unwrap();
        assert_eq!(e.field(), Some("DATABASE_URL"));
        assert!(e.to_string().contains("pgbouncer=true") && !e.to_string().contains("secret"), "{e}");
    }
}
