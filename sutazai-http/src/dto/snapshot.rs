//! Schema of a snapshot in the OpenAPI description. The engine's own snapshot is sent as it is, cached as JSON text
//! for one second, so this module only describes it; `tests/suite/api.rs` validates a real snapshot against this
//! schema.

use std::borrow::Cow;

use utoipa::openapi::schema::{
    AdditionalProperties, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use super::metric_schemas::{Kind, SECTIONS, types};

/// Schema of `Snapshot` in the OpenAPI description.
#[derive(Debug)]
pub(crate) struct SnapshotView;

impl PartialSchema for SnapshotView {
    fn schema() -> RefOr<Schema> {
        let time = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let custom = ObjectBuilder::new()
            .description(Some("Sections of an embedder's own metric sources, by source."))
            .additional_properties(Some(AdditionalProperties::from(section(any().into()))));
        let object = ObjectBuilder::new()
            .description(Some("State of the machine at one instant. A section that could not be measured contains the reason."))
            .property("taken_at", time)
            .required("taken_at");
        SECTIONS
            .iter()
            .fold(object, |object, (name, kind)| {
                object.property(*name, section(kind.schema())).required(*name)
            })
            .property("custom", custom)
            .required("custom")
            .into()
    }
}

impl ToSchema for SnapshotView {
    fn name() -> Cow<'static, str> {
        "Snapshot".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        for (name, description, fields) in types() {
            let object = ObjectBuilder::new().description(Some(*description));
            let object = fields.iter().fold(object, |object, (field, kind, description)| {
                object.property(*field, described(kind.schema(), description)).required(*field)
            });
            schemas.push(((*name).to_owned(), object.into()));
        }
    }
}

/// Builds the schema of a section: present with this value, or missing with a reason.
fn section(value: RefOr<Schema>) -> Schema {
    let word = |word: &str| ObjectBuilder::new().schema_type(Type::String).enum_values(Some([word]));
    let one = |status: &str, what: &str, value: RefOr<Schema>| {
        let object = ObjectBuilder::new().property("status", word(status)).required("status");
        object.property(what, value).required(what)
    };
    OneOfBuilder::new()
        .item(one("present", "value", value))
        .item(one("missing", "reason", Kind::Text.schema()))
        .into()
}

/// Schema of any JSON value.
fn any() -> Object {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).build()
}

fn described(mut schema: RefOr<Schema>, description: &str) -> RefOr<Schema> {
    let description = description.to_owned();
    match &mut schema {
        RefOr::Ref(reference) => reference.description = description,
        RefOr::T(Schema::Object(object)) => object.description = Some(description),
        RefOr::T(Schema::Array(array)) => array.description = Some(description),
        RefOr::T(Schema::OneOf(one_of)) => one_of.description = Some(description),
        RefOr::T(_) => {}
    }
    schema
}
