//! The machine at one instant. The engine's own snapshot goes over the wire as it is; its schema stands here.

use std::borrow::Cow;

use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{KnownFormat, Object, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

/// Stands for `Snapshot` in the document.
#[derive(Debug)]
pub(crate) struct SnapshotView;

impl PartialSchema for SnapshotView {
    fn schema() -> RefOr<Schema> {
        let time = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
        let sections = ["host", "pressure", "cgroup", "containers", "gpus"];
        let custom = ObjectBuilder::new()
            .schema_type(Type::Object)
            .additional_properties(Some(AdditionalProperties::from(RefOr::T(section()))));
        let object = ObjectBuilder::new().property("taken_at", time).required("taken_at");
        sections
            .into_iter()
            .fold(object, |object, name| object.property(name, section()).required(name))
            .property("custom", custom)
            .required("custom")
            .into()
    }
}

impl ToSchema for SnapshotView {
    fn name() -> Cow<'static, str> {
        "Snapshot".into()
    }
}

/// Present with a value, or missing with the reason.
fn section() -> Schema {
    let word = |word: &str| ObjectBuilder::new().schema_type(Type::String).enum_values(Some([word])).build();
    let one = |status: &str, what: &str, value: Object| {
        ObjectBuilder::new()
            .property("status", word(status))
            .required("status")
            .property(what, value)
            .required(what)
    };
    let reason = ObjectBuilder::new().schema_type(Type::String).build();
    OneOfBuilder::new()
        .item(one(
            "present",
            "value",
            ObjectBuilder::new().schema_type(utoipa::openapi::schema::SchemaType::AnyValue).build(),
        ))
        .item(one("missing", "reason", reason))
        .into()
}
