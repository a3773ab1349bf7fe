//! Where a page ends and the next one begins. Callers hand back what they were given and read nothing into it.

use sutazai_core::{Error, Result};
use uuid::Uuid;

/// How many items a page has when the caller does not say.
pub(crate) const DEFAULT_LIMIT: u32 = 20;

/// What callers are given.
pub(crate) fn write_cursor(id: Uuid) -> String {
    id.simple().to_string()
}

/// Reads what [`write_cursor`] wrote; a spelling of the caller's own is refused.
pub(crate) fn read_cursor(cursor: &str) -> Result<Uuid> {
    Uuid::try_parse(cursor).ok().filter(|id| write_cursor(*id) == cursor).ok_or_else(invalid_cursor)
}

/// The error of a cursor that nobody was given.
pub(crate) fn invalid_cursor() -> Error {
    Error::invalid("cursor", "expected the next_cursor of the page before")
}
