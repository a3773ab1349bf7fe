//! Bodies of OpenAI's protocol.
//!
//! The protocol has more parameters than any server honours. One that would change the answer and is not honoured here is
//! refused by name, never dropped in silence; one that changes nothing is taken and not used.

use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sutazai_core::Error;

use crate::error::ApiError;
use crate::extract::json::Json;
use crate::extract::query::{field_of, plain};

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
        let Json(mut body) = Json::<Map<String, Value>>::from_request(request, state).await?;
        body.retain(|name, value| !value.is_null() && !T::HARMLESS.contains(&name.as_str()));
        for (name, neutral) in T::MISSING {
            if let Some(value) = body.remove(*name)
                && !same(&value, neutral)
            {
                let message =
                    format!("this server does not have this parameter; expected {neutral} or nothing");
                return Err(Error::invalid(*name, message).into());
            }
        }
        let body = serde_path_to_error::deserialize(Value::Object(body)).map_err(|e| {
            let field = field_of(&e);
            ApiError::from(Error::invalid(field, plain(&e.into_inner().to_string())))
        })?;
        Ok(Self(body))
    }
}

/// Whether the value is this JSON; of numbers only their worth counts.
fn same(value: &Value, json: &str) -> bool {
    let expected: Value = serde_json::from_str(json).unwrap_or_default();
    match (value.as_f64(), expected.as_f64()) {
        (Some(value), Some(expected)) => value == expected,
        _ => *value == expected,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_compared_by_worth() {
        assert!(same(&json!(0.0), "0") && same(&json!(1), "1") && same(&json!([]), "[]"));
        assert!(!same(&json!(2), "1") && !same(&json!("0"), "0") && !same(&json!([{}]), "[]"));
    }
}
