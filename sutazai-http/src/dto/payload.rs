//! Payloads: JSON of any form, bounded before it becomes values.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// The most values in a payload, those within lists and objects included: a value takes 32 bytes of memory and more, also
/// where its text has two.
const MAX_VALUES: usize = 20_000;

/// What an agent gets.
#[derive(Debug)]
pub(crate) struct Payload(pub(crate) Value);

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let values = values(text.get());
        if values > MAX_VALUES {
            return Err(D::Error::custom(format!("expected at most {MAX_VALUES} values, got {values}")));
        }
        serde_json::from_str(text.get()).map(Self).map_err(D::Error::custom)
    }
}

/// How many values JSON has: one, and another for each comma, and for each list and object that is opened.
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
    fn values_are_counted_and_texts_are_not() {
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
    fn too_many_are_refused() {
        let list = |count: usize| format!("[{}]", vec!["0"; count].join(","));
        assert!(serde_json::from_str::<Payload>(&list(MAX_VALUES - 1)).is_ok());
        let e = serde_json::from_str::<Payload>(&list(MAX_VALUES)).unwrap_err();
        assert!(e.to_string().starts_with("expected at most 20000 values, got 20001"), "{e}");
        assert!(serde_json::from_str::<Payload>(&format!("[{}]", "0,".repeat(9) + "]")).is_err());
    }
}
