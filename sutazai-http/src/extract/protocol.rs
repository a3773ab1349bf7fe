//! Bodies of OpenAI's protocol.
//!
//! The protocol has more parameters than any server supports. A parameter that would change the answer but is not
//! supported is rejected by name, never ignored silently; a parameter without an effect on the answer is accepted and
//! ignored.

use std::collections::BTreeMap;
use std::fmt;

use axum::extract::{FromRequest, Request};
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use sutazai_core::Error;

use crate::error::ApiError;
use crate::extract::json::Json;
use crate::extract::query::{field_of, plain};

/// Maximum length in bytes of a value that is compared with a neutral value.
const MAX_NEUTRAL_BYTES: usize = 64;

/// Parameters of a body of the protocol, in addition to the fields of the type itself.
pub(crate) trait Protocol: DeserializeOwned {
    /// Parameters without an effect on the answer.
    const HARMLESS: &'static [&'static str];

    /// Unsupported parameters, each with the JSON value at which it has no effect. Null has none for any of them.
    const MISSING: &'static [(&'static str, &'static str)];
}

/// JSON body of the protocol; a parameter with the value null counts as left out.
#[derive(Debug)]
pub(crate) struct ProtocolJson<T>(pub(crate) T);

impl<T: Protocol, S: Send + Sync> FromRequest<S> for ProtocolJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        // Values stay text until their type is known: a tree of values would need many times their memory.
        let Json(Parameters(mut body)) = Json::<Parameters>::from_request(request, state).await?;
        body.retain(|name, value| value.get() != "null" && !T::HARMLESS.contains(&name.as_str()));
        for (name, neutral) in T::MISSING {
            if let Some(value) = body.remove(*name)
                && !same(value.get(), neutral)
            {
                let message =
                    format!("this server does not have this parameter; expected {neutral} or nothing");
                return Err(Error::invalid(*name, message).into());
            }
        }
        let fields = body.iter().map(|(name, value)| (name.as_str(), &**value));
        let body = serde_path_to_error::deserialize(MapDeserializer::new(fields)).map_err(|e| {
            let field = field_of(&e);
            let message = e.into_inner().to_string();
            // The position is within the text of one field, so it is of no use next to the field's name.
            let message = message.split(" at line ").next().unwrap_or_default();
            ApiError::from(Error::invalid(field, plain(message)))
        })?;
        Ok(Self(body))
    }
}

/// Parameters of a body by name. A duplicate is rejected, because it is unclear which of the two values is meant.
struct Parameters(BTreeMap<String, Box<RawValue>>);

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ParametersVisitor)
    }
}

struct ParametersVisitor;

impl<'de> Visitor<'de> for ParametersVisitor {
    type Value = Parameters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
        let mut parameters = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
            if parameters.contains_key(&name) {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
            parameters.insert(name, value);
        }
        Ok(Parameters(parameters))
    }
}

/// Returns whether a value equals this JSON; numbers are compared by value. A value longer than 64 bytes
/// cannot be a neutral one and is not parsed.
fn same(value: &str, json: &str) -> bool {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    if value.len() > MAX_NEUTRAL_BYTES {
        return false;
    }
    let (value, expected) = (parsed(value), parsed(json));
    match (value.as_f64(), expected.as_f64()) {
        (Some(value), Some(expected)) => value == expected,
        _ => value == expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        assert!(same("0.0", "0") && same("1e0", "1") && same("[ ]", "[]"));
        assert!(!same("2", "1") && !same("\"0\"", "0") && !same("[{}]", "[]"));
    }
}
