//! Server-sent events, as the document tells them.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Stands in the document for one event of a stream; the stream itself is written by axum.
#[derive(Debug)]
pub(crate) struct SentEvent;

impl PartialSchema for SentEvent {
    fn schema() -> RefOr<Schema> {
        let text = |what: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(what));
        ObjectBuilder::new()
            .description(Some("One server-sent event."))
            .property("id", text("Where it stands in this stream; hand it back as `Last-Event-ID`."))
            .required("id")
            .property("event", text("What kind it is.").enum_values(Some(["status", "progress", "text"])))
            .required("event")
            .property("data", text("The event as JSON."))
            .required("data")
            .into()
    }
}

impl ToSchema for SentEvent {
    fn name() -> Cow<'static, str> {
        "SentEvent".into()
    }
}
