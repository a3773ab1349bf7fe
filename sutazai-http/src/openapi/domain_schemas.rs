//! Schemas of the analysis and of the events, generated from the domain's own types. utoipa cannot describe them, because
//! they are no types of this crate and the server sends them as they are, so they are added to the finished description.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sutazai_core::domain::{Analysis, TaskEvent};
use sutazai_core::typed_agent::output_schema;
use utoipa::openapi::OpenApi;

const SCHEMAS: &str = "#/components/schemas/";

/// Properties whose schema is replaced: the schema that has it, its name, and what it refers to.
const REPLACED: [(&str, &str, Property); 3] = [
    ("SentEvent", "data", Property::Text("TaskEvent")),
    ("SnapshotEvent", "data", Property::Text("Snapshot")),
    ("Task", "result", Property::Any("Analysis")),
];

/// Content of a property.
#[derive(Clone, Copy)]
enum Property {
    /// A JSON text of this schema.
    Text(&'static str),
    /// A value of this schema for one agent, and any value for others.
    Any(&'static str),
}

/// Formats the description as JSON, with the schemas of the domain.
pub(crate) fn complete(document: &OpenApi) -> String {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        add(schemas, "Analysis", output_schema::<Analysis>());
        add(schemas, "TaskEvent", output_schema::<TaskEvent>());
        for (schema, property, content) in REPLACED {
            let Some(found) = schemas.get_mut(schema).and_then(|schema| find(schema, property)) else {
                continue;
            };
            match content {
                Property::Text(name) => {
                    found.insert("contentMediaType".to_owned(), json!("application/json"));
                    found.insert("contentSchema".to_owned(), reference(name));
                }
                Property::Any(name) => {
                    found.insert("anyOf".to_owned(), json!([reference(name), {}]));
                }
            }
        }
    }
    document.to_string()
}

/// Finds the schema of a property, in an object or in one of the objects that it consists of.
fn find<'a>(schema: &'a mut Value, property: &str) -> Option<&'a mut Map<String, Value>> {
    if schema.get("allOf").is_some() {
        let parts = schema.get_mut("allOf")?.as_array_mut()?;
        return parts.iter_mut().find_map(|part| find(part, property));
    }
    schema.get_mut("properties")?.get_mut(property)?.as_object_mut()
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{SCHEMAS}{name}") })
}

/// Adds a schema under this name, with the schemas that it refers to. Those that the description already has, such as the
/// one of a snapshot, stay.
fn add(schemas: &mut Map<String, Value>, name: &str, mut root: Value) {
    let mut definitions = BTreeMap::new();
    if let Some(root) = root.as_object_mut() {
        root.remove("$schema");
        root.remove("title");
        if let Some(Value::Object(found)) = root.remove("$defs") {
            definitions.extend(found);
        }
    }
    definitions.insert(name.to_owned(), root);
    let mut wanted = vec![name.to_owned()];
    while let Some(name) = wanted.pop() {
        let Some(mut schema) = definitions.remove(&name).filter(|_| !schemas.contains_key(&name)) else {
            continue;
        };
        rewrite(&mut schema, &mut wanted);
        schemas.insert(name, schema);
    }
}

/// Rewrites references to definitions into references to components, and collects their names. A choice of constants
/// becomes an enumeration, which more generators of clients understand.
fn rewrite(schema: &mut Value, referred: &mut Vec<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(target)) = fields.get_mut("$ref")
                && let Some(name) = target.strip_prefix("#/$defs/").map(str::to_owned)
            {
                *target = format!("{SCHEMAS}{name}");
                referred.push(name);
            }
            if let Some(words) = fields.get("oneOf").and_then(constants) {
                fields.remove("oneOf");
                fields.insert("type".to_owned(), json!("string"));
                fields.insert("enum".to_owned(), Value::Array(words));
            }
            fields.values_mut().for_each(|value| rewrite(value, referred));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, referred)),
        _ => {}
    }
}

/// Returns the constants of a choice that has nothing else.
fn constants(ways: &Value) -> Option<Vec<Value>> {
    let ways = ways.as_array()?.iter();
    ways.map(|way| way.get("const").filter(|word| word.is_string()).cloned()).collect()
}
