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
    Uuid::try_parse(cursor).ok().filter(|id| write_cursor(*id) == cursor).ok_or_else(invalid)
}

/// What callers are given where pages end at a number.
pub(crate) fn write_number(number: u64) -> String {
    format!("{number:016x}")
}

/// Reads what [`write_number`] wrote.
pub(crate) fn read_number(cursor: &str) -> Result<u64> {
    let number = u64::from_str_radix(cursor, 16).ok().filter(|number| write_number(*number) == cursor);
    number.ok_or_else(invalid)
}

fn invalid() -> Error {
    Error::invalid("cursor", "expected the next_cursor of the page before")
}
