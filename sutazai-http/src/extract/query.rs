//! Query strings, and error messages about invalid fields.

use std::fmt::Display;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use sutazai_core::Error;

use crate::error::ApiError;

/// Query parameters; 422 naming the one that is invalid.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs))
            .map(Self)
            .map_err(|e| ApiError::from(Error::invalid(field_of(&e), plain(&e.into_inner().to_string()))))
    }
}

/// Returns the dotted path of the invalid field. Serde names a missing or duplicate field only in its message.
pub(super) fn field_of<E: Display>(e: &serde_path_to_error::Error<E>) -> String {
    let path = e.path().to_string();
    let message = e.inner().to_string();
    let named = ["missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start))
        .and_then(|rest| rest.split('`').next());
    match (path.as_str(), named) {
        (".", Some(name)) => name.to_owned(),
        (".", None) => "body".to_owned(),
        (path, Some(name)) if path.rsplit('.').next() != Some(name) => format!("{path}.{name}"),
        (path, _) => path.to_owned(),
    }
}

/// Rewrites serde's message in terms of the API: what was expected and what was received, without names of Rust
/// types.
pub(super) fn plain(message: &str) -> String {
    if UNREADABLE_TIMES.contains(&message) {
        return format!("expected {TIME}");
    }
    if message.starts_with("UUID parsing failed") {
        return format!("expected {ID}");
    }
    let came = ["invalid type: ", "invalid value: "].iter().find_map(|start| message.strip_prefix(start));
    match came.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((came, expected)) => format!("expected {}, got {}", expectation(expected), arrival(came)),
        None => message
            .replace("invalid digit found in string", "expected a whole number")
            .replace("number too large to fit in target type", "expected a smaller number")
            .replace("number too small to fit in target type", "expected a larger number")
            .replace("cannot parse integer from empty string", "expected a whole number")
            .replace("provided string was not `true` or `false`", "expected true or false")
            .replace("unknown variant", "unknown value"),
    }
}

/// Messages of chrono about a time that it cannot parse.
const UNREADABLE_TIMES: [&str; 6] = [
    "input contains invalid characters",
    "input is not enough for unique date and time",
    "input is out of range",
    "no possible date and time matching input",
    "premature end of input",
    "trailing input",
];

const TIME: &str = "a time with its offset from UTC, such as 2027-01-01T09:00:00Z";

const ID: &str = "an id, such as 0195f3a0-0000-7000-8000-000000000000";

/// Describes the type that serde expected.
fn expectation(expected: &str) -> String {
    let range = |min: &dyn Display, max: &dyn Display| format!("a whole number from {min} to {max}");
    match expected {
        "u8" => range(&u8::MIN, &u8::MAX),
        "u16" => range(&u16::MIN, &u16::MAX),
        "u32" => range(&u32::MIN, &u32::MAX),
        "u64" | "usize" => range(&u64::MIN, &u64::MAX),
        "i8" | "i16" | "i32" | "i64" | "isize" | "i128" | "u128" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "a list".into(),
        "a map" => "an object".into(),
        "unit" => "null".into(),
        "variant identifier" | "string or map" | "a borrowed string" => "a string".into(),
        "an RFC 3339 formatted date and time string" => TIME.into(),
        _ if expected.contains("nonzero") => range(&1, &u32::MAX),
        _ if expected.contains("UUID") => ID.into(),
        _ if expected.starts_with("enum ") => "a string".into(),
        _ if expected.starts_with("struct ") || expected.starts_with("internally tagged enum") => {
            "an object".into()
        }
        _ if expected.starts_with("tuple") || expected.starts_with("a tuple") => "a list".into(),
        _ => expected.into(),
    }
}

/// Describes the value that was received.
fn arrival(came: &str) -> String {
    match came {
        "map" => "an object".into(),
        "sequence" => "a list".into(),
        "unit value" | "null" | "Option value" => "null".into(),
        _ => match came.split_once('`').and_then(|(_, value)| value.strip_suffix('`')) {
            Some(value) => value.into(),
            None => came.replacen("string ", "", 1),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_described_in_terms_of_the_api() {
        for (serde, told) in [
            (
                "invalid type: string \"high\", expected u8",
                "expected a whole number from 0 to 255, got \"high\"",
            ),
            ("invalid type: string \"0.5\", expected f32", "expected a number, got \"0.5\""),
            (
                "invalid value: integer `0`, expected a nonzero u32",
                "expected a whole number from 1 to 4294967295, got 0",
            ),
            ("invalid type: floating point `1.5`, expected i64", "expected a whole number, got 1.5"),
            ("invalid type: map, expected a sequence", "expected a list, got an object"),
            ("invalid type: null, expected struct CreateTask", "expected an object, got null"),
            ("invalid type: integer `7`, expected a string", "expected a string, got 7"),
            (
                "invalid type: string \"a, expected b\", expected a boolean",
                "expected true or false, got \"a, expected b\"",
            ),
            ("invalid digit found in string", "expected a whole number"),
            (
                "premature end of input",
                "expected a time with its offset from UTC, such as 2027-01-01T09:00:00Z",
            ),
            ("unknown variant `x`, expected `a` or `b`", "unknown value `x`, expected `a` or `b`"),
        ] {
            assert_eq!(plain(serde), told);
        }
    }
}
