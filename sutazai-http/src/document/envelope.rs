//! The envelope, as the document tells it: handlers name the data that they answer with, and what `middleware::envelope`
//! puts around it is put around its schema here.

use axum::http::StatusCode;
use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::openapi::{Components, Content, OpenApi, Ref, RefOr};

use super::operations::{all, may_answer};
use crate::envelope::{ErrorEnvelope, Metadata, word};

const JSON: &str = "application/json";
const SCHEMAS: &str = "#/components/schemas/";

/// Puts the envelope around all JSON that these operations answer with, and adds the errors that reading a request can
/// end in.
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

/// Gives the errors of an operation their form.
pub(super) fn describe_errors(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5']) {
            let failed = || Content::new(Some(reference(&ErrorEnvelope::name()))).into();
            response.content.entry(JSON.to_owned()).or_insert_with(failed);
        }
    }
}

/// The errors of `extract`, which follow from what an operation takes.
fn add_errors_of_reading(operation: &mut Operation) {
    let takes = |place: ParameterIn| {
        let mut parameters = operation.parameters.iter().flatten();
        parameters
            .any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == place))
    };
    let (path, more) = (takes(ParameterIn::Path), takes(ParameterIn::Query) || takes(ParameterIn::Header));
    let body = operation.request_body.is_some();
    if path {
        may_answer(operation, StatusCode::NOT_FOUND, "There is no such thing, or it is somebody else's.");
    }
    if path || body {
        may_answer(operation, StatusCode::BAD_REQUEST, "The request cannot be read.");
    }
    if path || more || body {
        may_answer(
            operation,
            StatusCode::UNPROCESSABLE_ENTITY,
            "Something does not fit; `details.field` names it.",
        );
    }
    if body {
        may_answer(operation, StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is no `application/json`.");
    }
    may_answer(operation, StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side.");
    may_answer(operation, StatusCode::SERVICE_UNAVAILABLE, "Something that is needed cannot be reached now.");
}

/// The envelope around this schema, under a name of its own where the data has one.
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
