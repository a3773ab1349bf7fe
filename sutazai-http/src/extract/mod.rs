//! Extractors of requests. Each error names the field that is invalid.

mod account;
mod client_address;
mod file_form;
mod idempotency_key;
mod json;
mod path;
mod protocol;
mod query;
mod stream_permit;
mod user_agent;

pub(crate) use account::{Account, Administration};
pub(crate) use client_address::ClientAddress;
pub(crate) use file_form::FileForm;
pub(crate) use idempotency_key::{IDEMPOTENCY_KEY, idempotency_key};
pub(crate) use json::{Json, OptionalJson, read as read_json};
pub(crate) use path::IdPath;
pub(crate) use protocol::{Protocol, ProtocolJson};
pub(crate) use query::Query;
pub(crate) use user_agent::UserAgent;
