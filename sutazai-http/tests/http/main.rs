//! The API as its callers meet it: the real router behind a real listener, a real engine over the memory stores, a
//! real HTTP client.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so by ending

mod account;
mod admin;
mod auth;
mod document;
mod errors;
mod events;
mod events_of_all;
mod faults;
mod identity;
mod isolation;
mod journey;
mod load;
mod many_streams;
mod nesting;
mod socket;
mod socket_ends;
mod support;
mod tasks;
mod tickets;
mod wire;
