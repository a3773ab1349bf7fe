//! Extractors of requests. Each error names the field that is invalid.

mod account;
mod client_address;
mod file_form;
mod history_query;
mod idempotency_key;
mod json;
mod page_query;
mod path;
mod protocol;
mod query;
mod stream_permit;
mod user_agent;

pub(crate) use account::{Account, Administration};
pub(crate) use client_address::ClientAddress;
pub(crate) use file_form::FileForm;
pub(crate) use history_query::{HistoryParameters, HistoryQuery, check_name};
pub(crate) use idempotency_key::{IDEMPOTENCY_KEY, idempotency_key};
pub(crate) use json::{Json, OptionalJson, read as read_json};
pub(crate) use page_query::PageQuery;
pub(crate) use path::IdPath;
pub(crate) use protocol::{Protocol, ProtocolJson};
pub(crate) use query::Query;
pub(crate) use user_agent::UserAgent;
