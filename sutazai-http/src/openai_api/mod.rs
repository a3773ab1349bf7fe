//! OpenAI-compatible API beyond the routes: validates answers under a JSON Schema before a caller receives them.

mod checked;

pub(crate) use checked::{checked_answer, named};
