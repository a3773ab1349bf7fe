//! The machine at one instant, as the document tells it. The engine's own snapshot goes over the wire as it is, kept for a
//! second as text; its form stands here, and `tests/suite/api.rs` holds a real one against it.

use std::borrow::Cow;

use utoipa::openapi::schema::{
    AdditionalProperties, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

use super::measured::{Kind, SECTIONS, TYPES};

/// Stands for `Snapshot` in the document.
#[derive(Debug)]
pub(crate) struct SnapshotView;

impl PartialSchema for SnapshotView {
    fn schema() -> RefOr<Schema> {
        let time = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let custom = ObjectBuilder::new()
            .description(Some("Sections of an embedder's own sources, by source."))
            .additional_properties(Some(AdditionalProperties::from(section(any().into()))));
        let object = ObjectBuilder::new()
            .description(Some("The machine at one instant. What could not be measured says why."))
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
        for (name, description, fields) in TYPES {
            let object = ObjectBuilder::new().description(Some(*description));
            let object = fields.iter().fold(object, |object, (field, kind, description)| {
                object.property(*field, described(kind.schema(), description)).required(*field)
            });
            schemas.push(((*name).to_owned(), object.into()));
        }
    }
}

/// Present with this value, or missing with the reason.
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

/// Any JSON.
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
