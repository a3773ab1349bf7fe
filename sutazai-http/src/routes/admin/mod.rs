//! Operations that only admins may perform.

pub(crate) mod dead_letter;
pub(crate) mod invitations;
pub(crate) mod sessions;
pub(crate) mod statistics;
pub(crate) mod users;
