#![doc = include_str!("../README.md")]
//! # Structure
//!
//! [`router`] returns a router that an embedder can nest under any prefix of their own axum service. [`serve`] serves
//! one until it is asked to stop; [`serve_with`] does the same with TLS and explicit connection limits.
//!
//! A request passes these stages, from the outermost to the innermost:
//!
//! 1. `middleware::trace`: joins or starts a trace, writes one log line and counts the request,
//! 2. `middleware::browser` and `middleware::compress`: security and CORS headers; gzip of long responses,
//! 3. `middleware::envelope`: puts every response into the common envelope and turns panics into errors; under `/v1`,
//!    `middleware::openai` writes the form of OpenAI's protocol instead,
//! 4. `middleware::host`: rejects requests from web pages of other origins while authentication is off,
//! 5. `middleware::authenticate`: resolves the caller (not for health, register, login and refresh; streams also
//!    accept a stream ticket),
//! 6. `middleware::rate_limit`: limits sign-in attempts by address and other calls by user,
//! 7. `middleware::timeout`: bounds the duration of a request (streams are exempt),
//! 8. `middleware::permit`: checks the permission that the route requires,
//! 9. `middleware::body`: bounds the size of a body, the time in which it arrives, and the memory of all bodies
//!    together,
//! 10. `routes`: one file per operation; parses input with `extract` and `dto`, calls the engine, and returns a
//!     `Reply` or an `ApiError`.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod app;
pub mod auth;
mod dto;
mod envelope;
mod error;
mod etag;
mod extract;
#[cfg(test)]
mod fuzz;
mod middleware;
mod monitoring;
mod openai_api;
mod openapi;
#[cfg(any(feature = "api-docs", feature = "ui"))]
mod pages;
mod readiness;
mod router;
mod routes;
mod security;
mod server;
mod streaming;

pub use app::App;
pub use monitoring::Monitoring;
pub use router::{has_ui, openapi_document, router};
pub use security::{CorsOrigins, GovernorRateLimiter, RateLimits, SecuritySettings, TrustedProxies};
pub use server::{ServerConfig, TlsFiles, serve, serve_with};
