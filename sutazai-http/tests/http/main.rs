//! Tests of the API as its clients see it: the real router behind a real listener, a real engine over in-memory
//! stores, and a real HTTP client.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on says so by ending

mod account;
mod accounts;
mod admin;
mod agent_messages;
mod attacks;
mod auth;
mod bodies;
mod browsers;
mod clients;
mod connections;
mod conversations;
mod document;
mod documents;
mod endless;
mod enumeration;
mod errors;
mod events;
mod events_of_all;
mod faults;
mod foreign_pages;
mod identity;
mod isolation;
mod journey;
mod limits;
mod load;
mod logs;
mod many_streams;
mod metrics;
mod nesting;
mod openai_api;
#[cfg(feature = "docs")]
mod pages;
#[path = "../../../sutazai-store/tests/postgres/place.rs"]
mod postgres;
mod readiness;
mod schedules;
mod shares;
mod socket;
mod socket_ends;
mod stores;
mod support;
mod tasks;
mod tickets;
mod times;
mod tls;
mod wire;
