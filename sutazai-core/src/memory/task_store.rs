//! [`crate::ports::TaskStore`] over std collections.

/// In the making.
#[derive(Debug, Default)]
pub struct MemoryTaskStore;
