//! JSON read without loss: an integer that the engine would round is rejected.

use serde::de::{DeserializeOwned, Error as _};

/// Longest integers without a sign that certainly fit in 64 bits have this many digits.
const SAFE_DIGITS: usize = 18;

/// Reads a value of this type from JSON.
///
/// # Errors
/// The text is no JSON of this type, or has an integer below −2⁶³ or above 2⁶⁴ − 1, which the engine could keep as a
/// floating-point number only.
pub fn from_slice<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    if let Some(integer) = find_large_integer(json) {
        let message =
            format!("the integer {integer} does not fit in 64 bits; a string keeps all of its digits");
        return Err(serde_json::Error::custom(message));
    }
    serde_json::from_slice(json)
}

/// Looks for an integer of more than 64 bits outside strings. Other faults of the text are left to the parser.
fn find_large_integer(json: &[u8]) -> Option<&str> {
    let mut place = 0;
    while let Some(byte) = json.get(place) {
        match byte {
            b'"' => place = after_string(json, place + 1),
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &&u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let end = place + json[place..].iter().take_while(is_part).count();
                let number = std::str::from_utf8(&json[place..end]).unwrap_or_default();
                let digits = number.strip_prefix('-').unwrap_or(number);
                if digits.len() > SAFE_DIGITS
                    && digits.bytes().all(|byte| byte.is_ascii_digit())
                    && number.parse::<i64>().is_err()
                    && number.parse::<u64>().is_err()
                {
                    return Some(number);
                }
                place = end;
            }
            _ => place += 1,
        }
    }
    None
}

/// Returns the place behind the string that begins at `place`.
fn after_string(json: &[u8], mut place: usize) -> usize {
    while let Some(byte) = json.get(place) {
        match byte {
            b'"' => return place + 1,
            b'\\' => place += 2,
            _ => place += 1,
        }
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_integers_of_more_than_64_bits_are_found() {
        for (json, found) in [
            ("18446744073709551615", None),
            ("-9223372036854775808", None),
            ("[0, 18446744073709551616]", Some("18446744073709551616")),
            (r#"{"a": -9223372036854775809}"#, Some("-9223372036854775809")),
            (r#"["99999999999999999999", "\"99999999999999999999"]"#, None),
            ("1.00000000000000000000", None),
            ("100000000000000000000e1", None),
            (r#"["a\\", 100000000000000000000]"#, Some("100000000000000000000")),
            (r#""never closed 100000000000000000000"#, None),
        ] {
            assert_eq!(find_large_integer(json.as_bytes()), found, "{json}");
        }
    }
}
