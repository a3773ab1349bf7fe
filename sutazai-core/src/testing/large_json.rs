//! Large JSON payloads for tests of page limits.

use serde_json::{Value, json};

/// Builds an object with `values` numbers of up to five digits, which databases hardly compress: 200,000 of them take
/// over 1 MB.
pub(crate) fn large_json(values: u64) -> Value {
    json!({ "values": (0..values).map(|n| n * 7_919 % 65_537).collect::<Vec<_>>() })
}
