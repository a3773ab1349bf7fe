//! JSON Schemas (2020-12) of Rust types.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// Returns the JSON Schema of what deserializes to a `T`: fields with a default are optional.
pub fn input_schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Returns the JSON Schema of a serialized `T`: every field that is always written is required.
///
/// # Examples
///
/// ```
/// use schemars::JsonSchema;
/// use serde::Serialize;
/// use sutazai_core::domain::AgentDescriptor;
/// use sutazai_core::typed_agent::output_schema;
///
/// #[derive(Serialize, JsonSchema)]
/// struct Used {
///     bytes: Option<u64>,
/// }
///
/// let measure = AgentDescriptor::new("measure", "Measures the memory in use.");
/// let measure = measure.output_schema(output_schema::<Used>());
/// assert_eq!(measure.output_schema.unwrap()["required"][0], "bytes");
/// ```
pub fn output_schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<T>().to_value()
}
