#![doc = include_str!("../README.md")]
//! # Modules
//!
//! - [`agents`]: the agents that run tasks, the hardware-optimizer and the model-puller.
//! - [`metrics`]: sources that measure this machine, and the metric history.
//! - [`models`]: backends of language models, and the manager that puts several behind one interface.
//!
//! Everything here implements a port of `sutazai-core`; the core imports nothing from this crate.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod agents;
pub mod metrics;
pub mod models;
