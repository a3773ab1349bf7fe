//! Schema of server-sent events in the OpenAPI description.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Schema of one event of a stream. It exists for the OpenAPI description only: axum writes the events themselves.
#[derive(Debug)]
pub(crate) struct SentEvent;

impl PartialSchema for SentEvent {
    fn schema() -> RefOr<Schema> {
        let text = |what: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(what));
        ObjectBuilder::new()
            .description(Some("One server-sent event."))
            .property(
                "id",
                text("Id of the event in this stream; send it as `Last-Event-ID` to resume after it."),
            )
            .required("id")
            .property("event", text("Kind of the event.").enum_values(Some(["status", "progress", "text"])))
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
