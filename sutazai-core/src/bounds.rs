//! What pages and texts that callers ask for are held to: the same in every use case.

use crate::error::{Error, Result};

/// A page has 1 to 100 items.
///
/// # Errors
/// `InvalidInput` naming `limit`.
pub(crate) fn page(limit: u32) -> Result<()> {
    if (1..=100).contains(&limit) {
        return Ok(());
    }
    Err(Error::invalid("limit", format!("expected 1 to 100, got {limit}")))
}

/// A text has so many characters, and none that is zero, which not every database can keep.
///
/// # Errors
/// `InvalidInput` naming the field.
pub(crate) fn length(field: &str, text: &str, least: usize, most: usize) -> Result<()> {
    let count = text.chars().count();
    if text.contains('\0') {
        return Err(Error::invalid(field, "expected a text without a zero character"));
    }
    if (least..=most).contains(&count) {
        return Ok(());
    }
    Err(Error::invalid(field, format!("expected {least} to {most} characters, got {count}")))
}
