//! Large JSON payloads for tests of page limits.

use serde_json::{Value, json};

/// Creates an object with this number of integers of up to five digits, which no database compresses well: 200,000 of
/// them take over a megabyte.
pub(crate) fn large_json(values: u64) -> Value {
    json!({ "values": (0..values).map(|n| n * 7_919 % 65_537).collect::<Vec<_>>() })
}
