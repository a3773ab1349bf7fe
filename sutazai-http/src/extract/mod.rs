//! How routes read requests: each error names the field that does not fit.

mod json;
mod path;
mod query;

pub(crate) use json::{Json, OptionalJson};
pub(crate) use path::TaskPath;
pub(crate) use query::Query;
