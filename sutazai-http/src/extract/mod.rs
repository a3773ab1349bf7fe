//! How routes read requests: each error names the field that does not fit.

mod account;
mod json;
mod path;
mod query;
mod user_agent;

pub(crate) use account::{Account, Administration};
pub(crate) use json::{Json, OptionalJson, read as read_json};
pub(crate) use path::IdPath;
pub(crate) use query::Query;
pub(crate) use user_agent::UserAgent;
