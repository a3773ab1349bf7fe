//! Everything that is seen from outside: the binary, the examples, the whole journey, and the house rules.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so by ending

mod accounts;
mod binary;
mod examples;
mod journey;
mod postgres;
mod privacy;
mod support;
mod tidy;
