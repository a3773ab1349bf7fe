//! Payloads of tasks: arbitrary JSON, bounded before it is parsed into a tree.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::exact_json;

/// Maximum number of values in a payload, nested ones included. The limit on bytes is not enough: each parsed value
/// takes at least 32 bytes of memory, even where its text has two.
const MAX_VALUES: usize = 20_000;

/// Payload of a task with at most 20,000 values, whose integers have at most 64 bits.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Payload(
    /// Value that was read.
    pub Value,
);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let values = values(text.get());
        if values > MAX_VALUES {
            return Err(D::Error::custom(format!("expected at most {MAX_VALUES} values, got {values}")));
        }
        exact_json::from_slice(text.get().as_bytes()).map(Self).map_err(D::Error::custom)
    }
}

/// Counts the values of a JSON text: 1, plus 1 for each comma and for each list or object that is opened.
fn values(json: &str) -> usize {
    let (mut values, mut in_string, mut escaped) = (1, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b',' | b'[' | b'{' if !in_string => values += 1,
            _ => {}
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_strings_only() {
        for (json, count) in [
            ("7", 1),
            (r#""[{,""#, 1),
            (r#""\",[""#, 1),
            (r#""\\""#, 1),
            ("[1,2]", 3),
            (r#"{"a":[1],"b":{}}"#, 5),
        ] {
            assert_eq!(values(json), count, "{json}");
        }
    }

    #[test]
    fn payload_with_too_many_values_is_rejected() {
        let list = |count: usize| format!("[{}]", vec!["0"; count].join(","));
        assert!(serde_json::from_str::<Payload>(&list(MAX_VALUES - 1)).is_ok());
        let e = serde_json::from_str::<Payload>(&list(MAX_VALUES)).unwrap_err();
        assert!(e.to_string().starts_with("expected at most 20000 values, got 20001"), "{e}");
        assert!(serde_json::from_str::<Payload>(&format!("[{}]", "0,".repeat(9) + "]")).is_err());
    }

    #[test]
    fn payload_with_an_integer_that_would_be_rounded_is_rejected() {
        assert!(serde_json::from_str::<Payload>(r#"{"n": 18446744073709551615}"#).is_ok());
        let e = serde_json::from_str::<Payload>(r#"{"n": 18446744073709551616}"#).unwrap_err();
        assert!(e.to_string().starts_with("the integer 18446744073709551616 does not fit in 64 bits"), "{e}");
    }
}
