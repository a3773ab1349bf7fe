//! Query strings.

use std::fmt::Display;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use sutazai_core::Error;

use crate::error::ApiError;

/// The parameters of the query string; 422 naming the one that does not fit.
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

/// The dotted path to what does not fit. A missing or doubled field stands in serde's message only.
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

/// Serde's message without the names of Rust's types.
pub(super) fn plain(message: &str) -> String {
    let types = ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "usize"];
    match message.rsplit_once("expected ") {
        Some((before, last)) if types.contains(&last) => format!("{before}expected a whole number"),
        _ => message.replace("invalid digit found in string", "expected a whole number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_in_plain_words() {
        for (serde, told) in [
            (
                "invalid type: string \"high\", expected u8",
                "invalid type: string \"high\", expected a whole number",
            ),
            ("invalid digit found in string", "expected a whole number"),
            ("invalid type: integer `7`, expected a string", "invalid type: integer `7`, expected a string"),
        ] {
            assert_eq!(plain(serde), told);
        }
    }
}
