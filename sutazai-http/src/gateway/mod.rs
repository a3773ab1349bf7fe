//! What the gateway does beyond passing on: answers under a JSON Schema are checked before anybody sees them.

mod checked;

pub(crate) use checked::{checked_answer, named};
