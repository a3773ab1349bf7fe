#![doc = include_str!("../README.md")]

#[cfg(all(any(feature = "sqlite", feature = "postgres"), feature = "http", feature = "system"))]
pub mod config;
#[cfg(all(any(feature = "sqlite", feature = "postgres"), feature = "http", feature = "system"))]
pub mod setup;
#[cfg(feature = "otel")]
pub mod telemetry;

pub use sutazai_agent as agent;
#[cfg(feature = "http")]
pub use sutazai_http as http;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub use sutazai_store as store;

#[cfg(feature = "testing")]
pub use sutazai_core::testing;
pub use sutazai_core::{Error, ErrorKind, Result, domain, engine, identity, memory, ports, trace};
