//! The OpenAPI document, made from the routes themselves: a route that is served is described.
//!
//! A handler says what is its own: its path, what it takes, the data it answers with, the errors that only it gives.
//! What lies around the routes is added by whatever lays it there: `router` calls [`access`] where it asks for a
//! sign-in, a permission or a time limit, [`envelope`] where answers get the envelope, and [`gateway`]
//! where they get OpenAI's form. [`api`] is the frame.

pub(crate) mod access;
pub(crate) mod api;
pub(crate) mod envelope;
pub(crate) mod gateway;
pub(crate) mod operations;
pub(crate) mod query_parameters;
pub(crate) mod words;
