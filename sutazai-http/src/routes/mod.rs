//! HTTP handlers: one folder per resource and one file per operation, each with one function `handle`.

pub(crate) mod admin;
pub(crate) mod agents;
pub(crate) mod auth;
pub(crate) mod conversations;
pub(crate) mod documents;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod models;
pub(crate) mod openai_api;
pub(crate) mod openapi;
pub(crate) mod schedules;
pub(crate) mod system;
pub(crate) mod tasks;
