//! OpenAPI description of the API.

pub(crate) mod show;
