//! Runs a router on a listener, against whoever may be on the other side: `serve` is the loop, `connection` one
//! connection, `tls` the certificate and its renewal.

mod addresses;
mod config;
mod connection;
mod serve;
mod slow_reader;
mod tls;

pub use config::{ServerConfig, TlsFiles};
pub use serve::{serve, serve_with};

pub(crate) use connection::{Closing, OverTls};
