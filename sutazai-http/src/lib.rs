//! The HTTP server: the way in to the engine and to identity, over axum.
//!
//! [`router`] gives a router that can be nested under any prefix of somebody's own axum service; [`serve`] runs one
//! until it is asked to stop, and [`serve_with`] does so with TLS and other limits. A request goes through these, from
//! the outside to the inside:
//!
//! 1. `middleware::trace`: the trace that the request belongs to, a log line, a count,
//! 2. `middleware::browser` and `middleware::compress`: headers for browsers; long answers made shorter,
//! 3. `middleware::envelope`: the one form that every answer has; panics end here; under `/v1` `middleware::openai` gives answers the
//!    form of that protocol,
//! 4. `middleware::host`: no page of another origin, where nobody signs in,
//! 5. `middleware::authenticate` (not around health, register, login and refresh; on streams a ticket will do),
//! 6. `middleware::rate_limit`: how often an address may try to sign in, and a user may call,
//! 7. `middleware::timeout` (not around streams),
//! 8. `middleware::permit`: what the caller may do at all,
//! 9. `middleware::body`: the size of a body, the time in which it arrives, and the memory of all,
//! 10. `routes`: one file a verb; they read with `extract` and `dto`, call the engine, and answer with a `Reply` or an
//!     `ApiError`.

mod app;
pub mod auth;
mod document;
mod dto;
mod envelope;
mod error;
mod etag;
mod extract;
#[cfg(test)]
mod fuzz;
mod gateway;
mod live;
mod middleware;
mod monitoring;
#[cfg(feature = "docs")]
mod pages;
mod private_file;
mod protection;
mod readiness;
mod router;
mod routes;
mod server;

pub use app::App;
pub use monitoring::Monitoring;
pub use private_file::{read_own_file, read_private_file};
pub use protection::{CorsOrigins, GovernorRateLimiter, Protection, RateLimits, TrustedProxies};
pub use router::router;
pub use server::{ServerConfig, TlsFiles, serve, serve_with};
