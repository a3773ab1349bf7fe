//! Tests from outside: the binary, the examples, a whole user journey, and the house rules.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so by ending

mod accounts;
mod api;
mod binary;
#[path = "../faults/broker.rs"]
mod broker;
mod bus;
mod circles;
mod collector;
mod conformance;
mod examples;
mod exposed;
mod first_run;
mod injected;
mod journey;
mod log_lines;
mod model_process;
mod postgres;
mod postgres_server;
mod privacy;
mod prometheus;
mod prose;
#[path = "../../sutazai-store/tests/postgres/proxy.rs"]
mod proxy;
mod redis;
mod sections;
mod support;
mod tidy;
mod traces;
mod workers;
