//! Envelope in the OpenAPI description. Handlers declare only the data of their responses; this module wraps its
//! schema as `middleware::envelope` wraps the data itself.

use axum::http::StatusCode;
use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::{Components, Content, OpenApi, Ref, RefOr};

use super::operations::{all, may_answer};
use crate::envelope::{ErrorEnvelope, Metadata, word};

const JSON: &str = "application/json";
const SCHEMAS: &str = "#/components/schemas/";

/// Wraps the schema of every JSON response of these operations in the envelope, and adds the errors that parsing a
/// request can cause.
pub(crate) fn wrap(document: &mut OpenApi) {
    let mut components = document.components.take().unwrap_or_default();
    register::<Metadata>(&mut components);
    register::<ErrorEnvelope>(&mut components);
    for operation in all(document) {
        add_errors_of_reading(operation);
        describe_errors(operation);
        for (status, response) in &mut operation.responses.responses {
            let RefOr::T(response) = response else { continue };
            let is_error = status.starts_with(['4', '5']);
            if let Some(RefOr::T(content)) = response.content.get_mut(JSON).filter(|_| !is_error) {
                content.schema = content.schema.take().map(|data| around(data, &mut components));
            }
        }
    }
    document.components = Some(components);
}

/// Sets the schema of all error responses of an operation.
pub(super) fn describe_errors(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5']) {
            let failed = || Content::new(Some(reference(&ErrorEnvelope::name()))).into();
            response.content.entry(JSON.to_owned()).or_insert_with(failed);
        }
    }
}

/// Adds the errors of `extract`, which follow from the parameters and the body of an operation.
fn add_errors_of_reading(operation: &mut Operation) {
    let takes = |place: ParameterIn| {
        let mut parameters = operation.parameters.iter().flatten();
        parameters
            .any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == place))
    };
    let (path, more) = (takes(ParameterIn::Path), takes(ParameterIn::Query) || takes(ParameterIn::Header));
    let body = operation.request_body.is_some();
    if path {
        may_answer(
            operation,
            StatusCode::NOT_FOUND,
            "The object does not exist, or it belongs to another user.",
        );
    }
    if path || body {
        may_answer(operation, StatusCode::BAD_REQUEST, "The request cannot be parsed.");
    }
    if path || more || body {
        may_answer(
            operation,
            StatusCode::UNPROCESSABLE_ENTITY,
            "A value is invalid; `details.field` names it.",
        );
    }
    if body {
        may_answer(operation, StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is not `application/json`.");
    }
    may_answer(operation, StatusCode::INTERNAL_SERVER_ERROR, "Internal error; the log has the details.");
    may_answer(
        operation,
        StatusCode::SERVICE_UNAVAILABLE,
        "A required service cannot be reached or is busy.",
    );
}

/// Wraps a schema in the envelope; the result gets a name of its own if the data has one.
fn around(data: RefOr<Schema>, components: &mut Components) -> RefOr<Schema> {
    let name = match &data {
        RefOr::Ref(data) => data.ref_location.strip_prefix(SCHEMAS).map(|name| format!("{name}Envelope")),
        RefOr::T(_) => None,
    };
    let envelope = ObjectBuilder::new()
        .property("status", word("success"))
        .required("status")
        .property("data", data)
        .required("data")
        .property("metadata", reference(&Metadata::name()))
        .required("metadata");
    match name {
        Some(name) => {
            let reference = reference(&name);
            components.schemas.insert(name, envelope.into());
            reference
        }
        None => envelope.into(),
    }
}

pub(super) fn register<T: ToSchema>(components: &mut Components) {
    let mut schemas = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut schemas);
    components.schemas.extend(schemas);
}

fn reference(name: &str) -> RefOr<Schema> {
    Ref::from_schema_name(name).into()
}
