//! Administration of all user accounts.

pub(crate) mod delete;
pub(crate) mod disable;
pub(crate) mod enable;
pub(crate) mod list;
pub(crate) mod role;
