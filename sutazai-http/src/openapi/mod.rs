//! OpenAPI description of the API, generated from the routes: a route that is served is described.
//!
//! A handler declares its own part: path, parameters, response data, and the errors that only it returns. The layers
//! around the routes add theirs where they are applied: `router` calls [`access`] where it requires a sign-in, a
//! permission or a time limit, [`envelope`] where responses get the envelope, and [`openai_api`] where they get OpenAI's
//! form. [`api`] contains the title, the tags and the security schemes. [`domain_schemas`] adds the schemas of what agents
//! return and report.

pub(crate) mod access;
pub(crate) mod api;
pub(crate) mod domain_schemas;
pub(crate) mod envelope;
pub(crate) mod openai_api;
pub(crate) mod operations;
pub(crate) mod query_parameters;
