//! HTTP handlers: one file per resource; a large operation has a file of its own in the folder of its resource, with
//! one function `handle`.

pub(crate) mod admin;
pub(crate) mod agents;
pub(crate) mod auth;
pub(crate) mod conversations;
pub(crate) mod documents;
pub(crate) mod event_log;
pub(crate) mod health;
pub(crate) mod models;
pub(crate) mod openai_api;
pub(crate) mod openapi;
pub(crate) mod prometheus;
pub(crate) mod schedules;
pub(crate) mod setup;
pub(crate) mod system;
pub(crate) mod tasks;
