//! The gateway's errors, as the document tells them: in OpenAI's form, not in the envelope.

use axum::http::StatusCode;
use utoipa::ToSchema;
use utoipa::openapi::{Content, OpenApi, Ref, RefOr};

use super::envelope::register;
use super::operations::{all, may_answer};
use crate::dto::openai::error::ProtocolError;

/// Adds the errors that these operations can end in, and gives all errors their form.
pub(crate) fn describe(document: &mut OpenApi) {
    let mut components = document.components.take().unwrap_or_default();
    register::<ProtocolError>(&mut components);
    document.components = Some(components);
    // OpenAPI has no word for a parameter with slashes.
    let paths = std::mem::take(&mut document.paths.paths);
    document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    for operation in all(document) {
        let asks = operation.request_body.is_some();
        may_answer(operation, StatusCode::BAD_REQUEST, "Something does not fit; `param` names it.");
        if asks {
            may_answer(operation, StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is no `application/json`.");
            may_answer(
                operation,
                StatusCode::TOO_MANY_REQUESTS,
                "The user has used up what one user may ask of the models.",
            );
        }
        if asks || operation.parameters.is_some() {
            may_answer(operation, StatusCode::NOT_FOUND, "There is no such model.");
        }
        may_answer(operation, StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side.");
        may_answer(operation, StatusCode::SERVICE_UNAVAILABLE, "The models are in use, or out of reach.");
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
