//! The API as its callers meet it: the real router behind a real listener, a real engine over the memory stores, a
//! real HTTP client.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so by ending

mod account;
mod admin;
mod auth;
mod document;
mod errors;
mod events;
mod faults;
mod identity;
mod isolation;
mod journey;
mod load;
mod nesting;
mod support;
mod tasks;
