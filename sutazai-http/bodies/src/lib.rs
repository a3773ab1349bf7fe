#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod auth;
pub mod conversation;
pub mod error;
pub mod exact_json;
pub mod model;
pub mod page;
pub mod payload;
pub mod readiness;
pub mod schedule;
pub mod task;
pub mod time;
pub mod vocabulary;
