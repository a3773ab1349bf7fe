//! Subset of JSON Schema that llama.cpp's conversion to a grammar honors (`common/json-schema-to-grammar.cpp`).
//!
//! Ollama and `llama-server` use this conversion. It silently ignores keywords that it does not know, so that the model
//! may violate them; such a schema is rejected here instead.

use serde_json::{Map, Value};
use sutazai_core::{Error, Result};

/// Keywords that the conversion ignores.
const IGNORED_KEYWORDS: &[&str] = &[
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

/// Keywords that the conversion honors for whole numbers only.
const INTEGER_ONLY_KEYWORDS: &[&str] = &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

/// Keywords whose value is one schema.
const SCHEMA_KEYWORDS: &[&str] = &["items", "additionalProperties", "additionalItems"];

/// Keywords whose value is a list of schemas.
const SCHEMA_LIST_KEYWORDS: &[&str] = &["anyOf", "oneOf", "allOf", "prefixItems"];

/// Keywords whose value maps names to schemas.
const SCHEMA_MAP_KEYWORDS: &[&str] = &["properties", "$defs", "definitions"];

/// Checks that `backend` enforces every keyword of `schema`.
///
/// # Errors
/// `Unsupported`, naming the field `constraint` and the keyword.
pub(super) fn check(backend: &str, schema: &Value) -> Result<()> {
    match find_ignored(schema) {
        None => Ok(()),
        Some(keyword) => Err(Error::unsupported(format!(
            "{backend} cannot enforce `{keyword}` at this position of a JSON Schema"
        ))
        .with_field("constraint")),
    }
}

/// Returns the first keyword that the conversion ignores, if any.
fn find_ignored(schema: &Value) -> Option<&str> {
    let object = schema.as_object()?;
    object.keys().find(|keyword| !is_honored(keyword, object)).map(String::as_str).or_else(|| {
        object.iter().find_map(|(keyword, value)| match keyword.as_str() {
            keyword if SCHEMA_KEYWORDS.contains(&keyword) => find_ignored(value),
            keyword if SCHEMA_LIST_KEYWORDS.contains(&keyword) => {
                value.as_array()?.iter().find_map(find_ignored)
            }
            keyword if SCHEMA_MAP_KEYWORDS.contains(&keyword) => {
                value.as_object()?.values().find_map(find_ignored)
            }
            _ => None,
        })
    })
}

fn is_honored(keyword: &str, object: &Map<String, Value>) -> bool {
    let is = |kind: &str| object.get("type").is_some_and(|found| found == kind);
    let anchored =
        |pattern: &Value| pattern.as_str().is_some_and(|text| text.starts_with('^') && text.ends_with('$'));
    match keyword {
        "pattern" => {
            // A pattern makes the conversion ignore every other keyword about the string.
            object.get(keyword).is_some_and(anchored)
                && !object.contains_key("minLength")
                && !object.contains_key("maxLength")
        }
        "minLength" | "maxLength" => is("string"),
        keyword if INTEGER_ONLY_KEYWORDS.contains(&keyword) => is("integer"),
        keyword => !IGNORED_KEYWORDS.contains(&keyword),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ignored_keywords_are_found_at_any_depth() {
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
    fn honored_keywords_pass() {
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
