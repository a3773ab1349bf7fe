//! Documents of users. The document that describes the API is `routes::document`.

pub(crate) mod chunks;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod search;
pub(crate) mod show;
pub(crate) mod upload;
