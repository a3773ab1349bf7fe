//! `/v1`: the OpenAI-compatible API in front of the models of this server.

pub(crate) mod complete;
pub(crate) mod embed;
pub(crate) mod models;
