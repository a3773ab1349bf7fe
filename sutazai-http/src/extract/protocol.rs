//! Bodies of OpenAI's protocol.
//!
//! The protocol has more parameters than any server honours. One that would change the answer and is not honoured here is
//! refused by name, never dropped in silence; one that changes nothing is taken and not used.

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

/// The longest value in bytes that may be a neutral one.
const MAX_NEUTRAL: usize = 64;

/// What a body of the protocol may hold beside the fields of the type itself.
pub(crate) trait Protocol: DeserializeOwned {
    /// Parameters that say nothing about the answer.
    const HARMLESS: &'static [&'static str];

    /// Parameters that are not honoured, each with the value, as JSON, at which it changes nothing. Null never does.
    const MISSING: &'static [(&'static str, &'static str)];
}

/// A JSON body of the protocol; a null parameter is one that was left out.
#[derive(Debug)]
pub(crate) struct ProtocolJson<T>(pub(crate) T);

impl<T: Protocol, S: Send + Sync> FromRequest<S> for ProtocolJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        // Values stay text until their type is known: as a tree they would take many times their size.
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
            // The place in the text of one field is of no use beside its name.
            let message = message.split(" at line ").next().unwrap_or_default();
            ApiError::from(Error::invalid(field, plain(message)))
        })?;
        Ok(Self(body))
    }
}

/// The parameters of a body, each of them once: of two that contradict each other none is what was meant.
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

/// Whether a value is this JSON; numbers are compared by worth. One that is longer than a few bytes is no neutral value,
/// and not parsed.
fn same(value: &str, json: &str) -> bool {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    if value.len() > MAX_NEUTRAL {
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
    fn numbers_are_compared_by_worth() {
        assert!(same("0.0", "0") && same("1e0", "1") && same("[ ]", "[]"));
        assert!(!same("2", "1") && !same("\"0\"", "0") && !same("[{}]", "[]"));
    }
}
