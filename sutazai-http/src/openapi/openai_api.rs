//! Errors of the OpenAI-compatible API in the OpenAPI description: they have OpenAI's form instead of the envelope.

use axum::http::StatusCode;
use utoipa::ToSchema;
use utoipa::openapi::{Content, OpenApi, Ref, RefOr};

use super::envelope::register;
use super::operations::{all, may_answer};
use crate::dto::openai::error::ProtocolError;

/// Adds the errors that these operations can return, and sets the schema of all their errors.
pub(crate) fn describe(document: &mut OpenApi) {
    let mut components = document.components.take().unwrap_or_default();
    register::<ProtocolError>(&mut components);
    document.components = Some(components);
    // OpenAPI cannot express a path parameter that contains slashes.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    for operation in all(document) {
        let asks = operation.request_body.is_some();
        may_answer(operation, StatusCode::BAD_REQUEST, "A parameter is invalid; `param` names it.");
        if asks {
            may_answer(operation, StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is not `application/json`.");
            may_answer(
                operation,
                StatusCode::TOO_MANY_REQUESTS,
                "The user has used up their share of model requests.",
            );
        }
        if asks || operation.parameters.is_some() {
            may_answer(operation, StatusCode::NOT_FOUND, "The model does not exist.");
        }
        may_answer(operation, StatusCode::INTERNAL_SERVER_ERROR, "Internal error; the log has the details.");
        may_answer(
            operation,
            StatusCode::SERVICE_UNAVAILABLE,
            "All model slots are in use, or no backend can be reached.",
        );
        may_answer(operation, StatusCode::GATEWAY_TIMEOUT, "The model did not answer in time.");
        for (status, response) in &mut operation.responses.responses {
            let RefOr::T(response) = response else { continue };
            if status.starts_with(['4', '5']) {
                let error = Ref::from_schema_name(ProtocolError::name());
                response.content.insert("application/json".to_owned(), Content::new(Some(error)).into());
            }
        }
    }
}
