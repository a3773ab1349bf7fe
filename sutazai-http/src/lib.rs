//! The HTTP server: the way in to the engine and to identity, over axum.
//!
//! [`router`] gives a router that can be nested under any prefix of somebody's own axum service; [`serve`] runs one
//! until it is asked to stop. A request goes through these, from the outside to the inside:
//!
//! 1. `middleware::trace`: a trace id, a log line,
//! 2. `middleware::envelope`: the one form that every answer has; panics end here,
//! 3. `middleware::timeout` (not around streams),
//! 4. `middleware::authenticate` (not around health, register, login and refresh),
//! 5. `middleware::permit`: what the caller may do at all,
//! 6. `routes`: one file a verb; they read with `extract` and `dto`, call the engine, and answer with a `Reply` or an
//!    `ApiError`.

mod app;
pub mod auth;
mod document;
mod dto;
mod envelope;
mod error;
mod etag;
mod extract;
mod live;
mod middleware;
mod router;
mod routes;
mod server;

pub use app::App;
pub use router::router;
pub use server::serve;
