//! What llama.cpp's own conversion of a JSON Schema to a grammar keeps to (`common/json-schema-to-grammar.cpp`), which Ollama
//! and `llama-server` use: keywords that it does not know are passed over there, and the model strays from them.

use serde_json::{Map, Value};
use sutazai_core::{Error, Result};

/// Keywords that are passed over.
const UNKNOWN: &[&str] = &[
    "contains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxContains",
    "maxProperties",
    "minContains",
    "minProperties",
    "multipleOf",
    "not",
    "patternProperties",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
];

/// Keywords that hold for whole numbers only.
const BOUNDS: &[&str] = &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

/// Keywords whose value is a schema.
const SCHEMA: &[&str] = &["items", "additionalProperties", "additionalItems"];

/// Keywords whose value is a list of schemas.
const SCHEMAS: &[&str] = &["anyOf", "oneOf", "allOf", "prefixItems"];

/// Keywords whose value has a schema for each name.
const NAMED_SCHEMAS: &[&str] = &["properties", "$defs", "definitions"];

/// Checks that a model of this backend can be held to the schema.
///
/// # Errors
/// `Unsupported` naming `constraint` and the keyword.
pub(super) fn check(backend: &str, schema: &Value) -> Result<()> {
    match stray(schema) {
        None => Ok(()),
        Some(keyword) => Err(Error::unsupported(format!(
            "{backend} cannot hold a model to `{keyword}` at this place of a JSON Schema"
        ))
        .with_field("constraint")),
    }
}

/// The first keyword that is not kept to.
fn stray(schema: &Value) -> Option<&str> {
    let object = schema.as_object()?;
    object.keys().find(|keyword| !is_kept(keyword, object)).map(String::as_str).or_else(|| {
        object.iter().find_map(|(keyword, value)| match keyword.as_str() {
            keyword if SCHEMA.contains(&keyword) => stray(value),
            keyword if SCHEMAS.contains(&keyword) => value.as_array()?.iter().find_map(stray),
            keyword if NAMED_SCHEMAS.contains(&keyword) => value.as_object()?.values().find_map(stray),
            _ => None,
        })
    })
}

fn is_kept(keyword: &str, object: &Map<String, Value>) -> bool {
    let is = |kind: &str| object.get("type").is_some_and(|found| found == kind);
    let anchored =
        |pattern: &Value| pattern.as_str().is_some_and(|text| text.starts_with('^') && text.ends_with('$'));
    match keyword {
        "pattern" => {
            // With a pattern nothing else of a string is looked at.
            object.get(keyword).is_some_and(anchored)
                && !object.contains_key("minLength")
                && !object.contains_key("maxLength")
        }
        "minLength" | "maxLength" => is("string"),
        keyword if BOUNDS.contains(&keyword) => is("integer"),
        keyword => !UNKNOWN.contains(&keyword),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keywords_that_are_passed_over_are_named_wherever_they_stand() {
        for (schema, keyword) in [
            (json!({ "type": "number", "minimum": 0, "maximum": 1 }), "minimum"),
            (json!({ "type": ["integer", "null"], "exclusiveMaximum": 3 }), "exclusiveMaximum"),
            (json!({ "pattern": "[0-9]+" }), "pattern"),
            (json!({ "type": "string", "pattern": "^a+$", "maxLength": 3 }), "pattern"),
            (json!({ "properties": { "a": { "items": { "multipleOf": 2 } } } }), "multipleOf"),
            (
                json!({ "anyOf": [{ "type": "null" }, { "type": "array", "uniqueItems": true }] }),
                "uniqueItems",
            ),
            (json!({ "$defs": { "x": { "not": {} } }, "$ref": "#/$defs/x" }), "not"),
            (json!({ "additionalProperties": { "minProperties": 1 } }), "minProperties"),
        ] {
            let e = check("ollama", &schema).unwrap_err();
            assert_eq!((e.kind(), e.field()), (sutazai_core::ErrorKind::Unsupported, Some("constraint")));
            assert!(e.message().contains(&format!("`{keyword}`")), "{e}");
        }
    }

    #[test]
    fn what_is_kept_to_passes() {
        check("ollama", &json!(true)).unwrap();
        check(
            "ollama",
            &json!({
                "type": "object",
                "properties": {
                    "pattern": { "type": "string", "pattern": "^[0-9]+$" },
                    "minimum": { "type": "integer", "minimum": 0 },
                    "not": { "enum": [{ "if": 1 }] },
                    "name": { "type": "string", "minLength": 1, "format": "date" },
                },
                "required": ["pattern"],
                "additionalProperties": false,
            }),
        )
        .unwrap();
    }
}
