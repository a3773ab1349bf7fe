//! Keys of rows as the values that statements bind.

use sutazai_core::domain::TaskId;
use uuid::Uuid;

/// Converts task ids for an array parameter (`= ANY($1)`, `unnest($1)`).
pub(super) fn keys(ids: &[TaskId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.0).collect()
}
