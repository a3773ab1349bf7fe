//! [`crate::ports::IdentityStore`] over std collections.

/// In the making.
#[derive(Debug, Default)]
pub struct MemoryIdentityStore;
