//! Page cursors. A cursor is opaque to clients: they return it unchanged to get the next page.

use sutazai_core::{Error, Result};
use uuid::Uuid;

/// Default page size when the client sets no `limit`.
pub(crate) const DEFAULT_LIMIT: u32 = 20;

/// Formats the id of the last item of a page as a cursor.
pub(crate) fn write_cursor(id: Uuid) -> String {
    id.simple().to_string()
}

/// Parses a cursor of [`write_cursor`]. Any other spelling of the same id is rejected, so that the format can change.
pub(crate) fn read_cursor(cursor: &str) -> Result<Uuid> {
    Uuid::try_parse(cursor).ok().filter(|id| write_cursor(*id) == cursor).ok_or_else(invalid)
}

/// Formats a number as a cursor, for lists that are ordered by a number.
pub(crate) fn write_number(number: u64) -> String {
    format!("{number:016x}")
}

/// Parses a cursor of [`write_number`].
pub(crate) fn read_number(cursor: &str) -> Result<u64> {
    let number = u64::from_str_radix(cursor, 16).ok().filter(|number| write_number(*number) == cursor);
    number.ok_or_else(invalid)
}

fn invalid() -> Error {
    Error::invalid("cursor", "expected the next_cursor of the previous page")
}
