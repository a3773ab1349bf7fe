//! The document that describes the API.

pub(crate) mod show;
