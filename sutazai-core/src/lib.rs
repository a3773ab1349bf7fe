#![doc = include_str!("../README.md")]
//! # Modules
//!
//! * [`adapter`]: the items that only adapters need,
//! * [`chat`]: conversations with a model,
//! * [`documents`]: users' documents, split into chunks and searched,
//! * [`domain`]: plain values without IO,
//! * [`engine`]: the inbound API and the workers,
//! * [`error`]: the error type that all ports share,
//! * [`identity`] (feature `identity`): registration, login, token refresh, roles and API keys,
//! * [`memory`]: reference adapters over std collections,
//! * [`admission_control`]: admission control in front of the models,
//! * [`metric_history`]: values of snapshots as samples over time,
//! * [`ports`]: one trait per file, each with a `# Contract` that its conformance suite proves,
//! * [`relay`]: publishes task events to a message bus,
//! * [`schedules`]: tasks submitted at the times of a cron pattern,
//! * [`task_store`]: the parts of a task store that are the same over any storage,
//! * [`testing`] (feature `test-util`): conformance suites and mocks,
//! * [`trace`]: the trace context of the running code,
//! * [`typed_agent`]: agents whose input and output are Rust types.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod adapter;
pub mod admission_control;
pub mod chat;
mod constraints;
pub mod documents;
pub mod domain;
pub mod engine;
pub mod error;
#[cfg(feature = "identity")]
pub mod identity;
pub mod memory;
pub mod metric_history;
mod metric_samples;
pub mod ports;
mod private_file;
pub mod relay;
pub mod schedules;
pub mod task_store;
#[cfg(feature = "test-util")]
pub mod testing;
pub mod trace;
pub mod typed_agent;
mod validation;

pub use error::{Error, ErrorKind, Result};
