//! Language models that the backends of this server offer.

pub(crate) mod list;
pub(crate) mod pull;
