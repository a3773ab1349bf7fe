//! Documents of users. `routes::document` is the OpenAPI description instead.

pub(crate) mod chunks;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod search;
pub(crate) mod show;
pub(crate) mod upload;
