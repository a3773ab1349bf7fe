//! In the making.
pub mod config;
