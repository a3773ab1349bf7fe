//! Subset of JSON Schema that llama.cpp's conversion to a grammar honors (`common/json-schema-to-grammar.cpp`).
//!
//! Ollama and `llama-server` use this conversion. It silently ignores keywords that it does not know or that accompany
//! others, so that the model may violate them; such a schema is rejected here instead.

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

/// Keywords that decide a schema alone, the first one that is present: the conversion ignores the
/// [restrictions](RESTRICTIONS) next to it.
const DECIDING_KEYWORDS: &[&str] = &["$ref", "oneOf", "anyOf", "const", "enum"];

/// Keywords that restrict a value, apart from those that are ignored everywhere.
const RESTRICTIONS: &[&str] = &[
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "oneOf",
    "pattern",
    "prefixItems",
    "properties",
    "required",
];

/// Maximum number of references that are followed from one schema to the next.
const MAX_REFERENCES: usize = 16;

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
    match find_ignored(schema, schema) {
        None => Ok(()),
        Some(keyword) => Err(Error::unsupported(format!(
            "{backend} cannot enforce `{keyword}` at this position of a JSON Schema"
        ))
        .with_field("constraint")),
    }
}

/// Returns the first keyword that the conversion of `root` ignores within `schema`, if any.
fn find_ignored<'a>(root: &'a Value, schema: &'a Value) -> Option<&'a str> {
    let object = schema.as_object()?;
    let inside = |schema| find_ignored(root, schema);
    object.keys().find(|keyword| !is_honored(root, keyword, object)).map(String::as_str).or_else(|| {
        object.iter().find_map(|(keyword, value)| match keyword.as_str() {
            keyword if SCHEMA_KEYWORDS.contains(&keyword) => match value {
                Value::Array(tuple) => tuple.iter().find_map(inside),
                schema => inside(schema),
            },
            keyword if SCHEMA_LIST_KEYWORDS.contains(&keyword) => value.as_array()?.iter().find_map(inside),
            keyword if SCHEMA_MAP_KEYWORDS.contains(&keyword) => value.as_object()?.values().find_map(inside),
            _ => None,
        })
    })
}

fn is_honored(root: &Value, keyword: &str, object: &Map<String, Value>) -> bool {
    let is = |kind: &str| object.get("type").is_some_and(|found| found == kind);
    let has = |keyword: &str| object.contains_key(keyword);
    let anchored =
        |pattern: &Value| pattern.as_str().is_some_and(|text| text.starts_with('^') && text.ends_with('$'));
    let decider = DECIDING_KEYWORDS.iter().find(|decider| has(decider));
    if decider.is_some_and(|decider| *decider != keyword && RESTRICTIONS.contains(&keyword)) {
        return false;
    }
    match keyword {
        "pattern" => {
            // A pattern makes the conversion ignore every other keyword about the string.
            object.get(keyword).is_some_and(anchored) && !has("minLength") && !has("maxLength")
        }
        "minLength" | "maxLength" => is("string"),
        "minItems" | "maxItems" => bounds_items(keyword, object),
        "prefixItems" => !has("items"),
        "required" => object.get(keyword).and_then(Value::as_array).is_none_or(|names| {
            let listed = object.get("properties").and_then(Value::as_object);
            names
                .iter()
                .filter_map(Value::as_str)
                .all(|name| listed.is_some_and(|all| all.contains_key(name)))
        }),
        "allOf" => {
            let open = object.get("additionalProperties").is_none_or(|additional| additional == true);
            let merged = object.get(keyword).and_then(Value::as_array);
            (!has("type") || is("object"))
                && !has("properties")
                && !has("items")
                && open
                && merged.is_some_and(|parts| parts.iter().all(|part| is_of_properties(root, part)))
        }
        keyword if INTEGER_ONLY_KEYWORDS.contains(&keyword) => is("integer"),
        keyword => !IGNORED_KEYWORDS.contains(&keyword),
    }
}

/// Returns whether the conversion keeps this bound of an array's length. A tuple has exactly its own length.
fn bounds_items(keyword: &str, object: &Map<String, Value>) -> bool {
    let tuple = object.get("items").or_else(|| object.get("prefixItems")).and_then(Value::as_array);
    if let (Some(tuple), Some(bound)) = (tuple, object.get(keyword).and_then(Value::as_u64)) {
        let length = tuple.len() as u64;
        return if keyword == "minItems" { bound <= length } else { bound >= length };
    }
    match object.get("type") {
        None => object.contains_key("items"),
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "array"),
        Some(kind) => kind == "array",
    }
}

/// Returns whether the conversion merges a part of `allOf`: it takes the properties of objects, and nothing else.
fn is_of_properties<'a>(root: &'a Value, mut part: &'a Value) -> bool {
    for _ in 0..MAX_REFERENCES {
        let Some(reference) = part.get("$ref") else {
            let decides =
                DECIDING_KEYWORDS.iter().chain(&["allOf"]).any(|keyword| part.get(keyword).is_some());
            return part.get("properties").is_some_and(Value::is_object) && !decides;
        };
        let target = reference.as_str().and_then(|text| text.strip_prefix('#'));
        match target.and_then(|pointer| root.pointer(pointer)) {
            Some(target) => part = target,
            None => return false,
        }
    }
    false
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
            (json!({ "items": [{ "type": "number", "minimum": 0 }] }), "minimum"),
            // Next to a keyword that decides alone, others are ignored.
            (json!({ "$ref": "#/$defs/x", "$defs": { "x": {} }, "minLength": 1 }), "minLength"),
            (json!({ "type": "object", "properties": {}, "anyOf": [{ "type": "object" }] }), "properties"),
            (json!({ "oneOf": [{ "type": "null" }], "anyOf": [{ "type": "null" }] }), "anyOf"),
            (json!({ "enum": ["a", "bc"], "type": "string", "minLength": 2 }), "minLength"),
            // Names that no property has, and bounds of what is no array.
            (json!({ "type": "object", "required": ["a"] }), "required"),
            (json!({ "properties": { "a": {} }, "required": ["a", "b"] }), "required"),
            (json!({ "minItems": 2 }), "minItems"),
            (json!({ "type": "array", "prefixItems": [{}, {}], "minItems": 3 }), "minItems"),
            (json!({ "prefixItems": [{}], "items": { "type": "null" } }), "prefixItems"),
            // Only the properties of objects are merged, and only where no others accompany them.
            (json!({ "allOf": [{ "type": "string", "minLength": 3 }] }), "allOf"),
            (json!({ "allOf": [{ "$ref": "#/$defs/x" }], "$defs": { "x": { "type": "string" } } }), "allOf"),
            (
                json!({ "allOf": [{ "$ref": "#/$defs/x" }], "$defs": { "x": { "$ref": "#/$defs/x" } } }),
                "allOf",
            ),
            (json!({ "allOf": [{ "properties": { "a": {} } }], "properties": { "b": {} } }), "allOf"),
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
                    "pair": { "type": "array", "prefixItems": [{}, {}], "minItems": 2, "maxItems": 2 },
                    "few": { "type": ["array", "null"], "items": { "type": "null" }, "maxItems": 3 },
                    "either": { "anyOf": [{ "$ref": "#/$defs/x" }, { "type": "null" }], "default": null, "title": "E" },
                    "both": { "allOf": [{ "$ref": "#/$defs/x" }, { "properties": { "b": {} }, "required": ["b"] }] },
                    "other": { "$ref": "#/$defs/x", "description": "one more" },
                },
                "$defs": { "x": { "type": "object", "properties": { "a": { "type": "string" } } } },
                "required": ["pattern"],
                "additionalProperties": false,
            }),
        )
        .unwrap();
    }
}
