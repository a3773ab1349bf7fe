//! Administration of the sessions of any user.

pub(crate) mod end;
pub(crate) mod list;
