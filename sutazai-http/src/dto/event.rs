//! Server-sent events: their schema in the OpenAPI description, and the selection of their kinds.

use std::borrow::Cow;
use std::str::FromStr;

use serde::Deserialize;
use sutazai_core::Error;
use sutazai_core::domain::EventKind;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::dto::list::list;

/// Schema of one event of a stream. It exists for the OpenAPI description only: axum writes the events themselves.
#[derive(Debug)]
pub(crate) struct SentEvent;

impl PartialSchema for SentEvent {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some("One server-sent event."))
            .property(
                "id",
                text("Id of the event in this stream; send it as `Last-Event-ID` to resume after it."),
            )
            .required("id")
            .property("event", text("Kind of the event.").enum_values(Some(EventKind::NAMES)))
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

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        // Parameters register no schema of their own.
        schemas.push((EventName::name().into_owned(), EventName::schema()));
    }
}

/// Name of a kind of events.
#[derive(Debug)]
pub(crate) struct EventName(&'static str);

impl FromStr for EventName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        EventKind::NAMES.into_iter().find(|name| *name == text).map(Self).ok_or_else(|| {
            Error::invalid("types", format!("expected {}, got {text:?}", EventKind::NAMES.join(", ")))
        })
    }
}

impl PartialSchema for EventName {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(EventKind::NAMES)).into()
    }
}

impl ToSchema for EventName {
    fn name() -> Cow<'static, str> {
        "EventName".into()
    }
}

/// Query parameter that selects events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventFilter {
    /// Return only events of these kinds, separated by commas; default: all.
    #[serde(default, deserialize_with = "list")]
    #[param(style = Form, explode = false, nullable = false, min_items = 1, value_type = Option<Vec<EventName>>)]
    types: Vec<EventName>,
}

impl EventFilter {
    /// Returns whether events of this kind are selected.
    pub(crate) fn selects(&self, kind: &EventKind) -> bool {
        self.types.is_empty() || self.types.iter().any(|name| name.0 == kind.name())
    }
}

/// Schema of one event of the stream of snapshots, for the OpenAPI description only.
#[derive(Debug)]
pub(crate) struct SnapshotEvent;

impl PartialSchema for SnapshotEvent {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some("One server-sent event with a snapshot."))
            .property("event", text("Kind of the event.").enum_values(Some(["snapshot"])))
            .required("event")
            .property("data", text("The snapshot as JSON."))
            .required("data")
            .into()
    }
}

impl ToSchema for SnapshotEvent {
    fn name() -> Cow<'static, str> {
        "SnapshotEvent".into()
    }
}

fn text(what: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(what))
}
