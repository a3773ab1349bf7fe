//! JSON of a wanted size.

use serde_json::{Value, json};

/// An object with so many numbers of up to five digits, which no database makes much shorter: 200,000 of them are over a
/// megabyte.
pub(crate) fn large_json(values: u64) -> Value {
    json!({ "values": (0..values).map(|n| n * 7_919 % 65_537).collect::<Vec<_>>() })
}
