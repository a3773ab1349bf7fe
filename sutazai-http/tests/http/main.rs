//! Tests of the API as its clients see it: the real router behind a real listener, a real engine over in-memory
//! stores, and a real HTTP client.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on says so by ending

mod account;
mod accounts;
mod admin;
mod agent_messages;
mod analyses;
mod attacks;
mod auth;
mod bodies;
mod browsers;
mod clients;
mod connections;
mod conversations;
mod documents;
mod endless;
mod enumeration;
mod errors;
mod event_log;
mod faults;
mod foreign_pages;
mod identity;
mod isolation;
mod journey;
mod limits;
mod load;
mod logs;
mod many_streams;
mod metric_history;
mod metric_stream;
mod metrics;
mod nesting;
mod openai_api;
mod openapi;
#[cfg(feature = "api-docs")]
mod pages;
#[path = "../../../sutazai-store/tests/postgres/place.rs"]
mod postgres;
mod readiness;
mod rules;
mod schedules;
mod session_cookies;
mod setup;
mod shares;
mod stores;
mod support;
mod task_events;
mod task_lists;
mod tasks;
mod tickets;
mod times;
mod tls;
#[cfg(feature = "ui")]
mod ui;
mod web_socket;
mod web_socket_ends;
mod wire;
