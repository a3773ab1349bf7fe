//! Runs a router on a listener that untrusted peers can reach: `serve` is the accept loop, `connection` handles one
//! connection, `tls` loads and renews the certificate, `slow_reader` and `addresses` bound what one peer can occupy.

mod addresses;
mod config;
mod connection;
mod serve;
mod slow_reader;
mod tls;

pub use config::{ServerConfig, TlsFiles};
pub use serve::{serve, serve_with};

pub(crate) use connection::{Closing, OverTls};
