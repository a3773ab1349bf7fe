//! JSON types of requests and responses. They are separate from the domain types, so that a new domain field reaches
//! callers only when it is added here.

pub(crate) mod account;
pub(crate) mod admin;
pub(crate) mod agent;
pub(crate) mod agent_message;
pub(crate) mod auth;
pub(crate) mod conversation;
pub(crate) mod deleted;
pub(crate) mod document;
pub(crate) mod event;
pub(crate) mod health;
pub(crate) mod invitation;
pub(crate) mod list;
pub(crate) mod metric_history;
pub(crate) mod metric_schemas;
pub(crate) mod model;
pub(crate) mod openai;
pub(crate) mod rule;
pub(crate) mod schedule;
pub(crate) mod setup;
pub(crate) mod snapshot;
pub(crate) mod task;
pub(crate) mod ticket;
