//! Adds to the OpenAPI description what `router` requires of callers: credentials, permissions and limits.

use axum::http::StatusCode;
use sutazai_core::domain::Permission;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::SecurityRequirement;

use super::api::{ACCESS_TOKEN, API_KEY, TICKET};
use super::envelope::describe_errors;
use super::operations::{all, may_answer};

/// Requires a sign-in for these operations; an API key is accepted too, unless a permission says otherwise.
pub(crate) fn signed_in(document: &mut OpenApi) {
    for operation in all(document) {
        operation
            .security
            .get_or_insert_with(|| vec![requirement(ACCESS_TOKEN, None), requirement(API_KEY, None)]);
        may_answer(operation, StatusCode::UNAUTHORIZED, "The token or API key is missing or invalid.");
    }
}

/// Accepts a stream ticket for these operations too.
pub(crate) fn ticketed(document: &mut OpenApi) {
    for operation in all(document) {
        operation.security.get_or_insert_default().push(requirement(TICKET, None));
    }
}

/// Documents that these operations reject unknown query parameters.
pub(crate) fn queried(document: &mut OpenApi) {
    for operation in all(document) {
        let why = "A value is invalid, or a query parameter is unknown; `details.field` names it.";
        may_answer(operation, StatusCode::UNPROCESSABLE_ENTITY, why);
        describe_errors(operation);
    }
}

/// Returns whether the operation accepts a stream ticket.
pub(crate) fn has_ticket(operation: &Operation) -> bool {
    let ticket = requirement(TICKET, None);
    operation.security.as_ref().is_some_and(|ways| ways.contains(&ticket))
}

/// Requires `permission` for these operations, and the scope that grants it to an API key.
pub(crate) fn permitted(document: &mut OpenApi, permission: Permission) {
    let scope = permission.scope();
    let why = match (permission, scope) {
        (_, Some(scope)) => format!("The API key lacks the scope `{scope}`."),
        (Permission::Administer, None) => "The caller is not an admin, or used an API key.".to_owned(),
        (_, None) => "An API key is not accepted here.".to_owned(),
    };
    for operation in all(document) {
        let mut ways = vec![requirement(ACCESS_TOKEN, None)];
        if let Some(scope) = scope {
            ways.push(requirement(API_KEY, Some(scope.as_str())));
        }
        operation.security = Some(ways);
        may_answer(operation, StatusCode::FORBIDDEN, &why);
    }
}

/// Documents that these operations respond with 501 on a server without users.
pub(crate) fn about_users(document: &mut OpenApi) {
    for operation in all(document) {
        may_answer(operation, StatusCode::NOT_IMPLEMENTED, "This server runs without users.");
    }
}

/// Documents that these operations have a time limit.
pub(crate) fn timed(document: &mut OpenApi) {
    for operation in all(document) {
        may_answer(operation, StatusCode::GATEWAY_TIMEOUT, "The request was not completed in time.");
    }
}

/// Documents the maximum size of the request bodies of these operations.
pub(crate) fn sized(document: &mut OpenApi, bytes: usize) {
    for operation in all(document).filter(|operation| operation.request_body.is_some()) {
        let why = format!("The body is larger than {bytes} bytes.");
        may_answer(operation, StatusCode::PAYLOAD_TOO_LARGE, why);
    }
}

/// Documents the rate limit of these operations, and the time in which their bodies must arrive.
pub(crate) fn limited(document: &mut OpenApi) {
    for operation in all(document) {
        let why = "Too many requests; `Retry-After` says when to retry.";
        may_answer(operation, StatusCode::TOO_MANY_REQUESTS, why);
        if operation.request_body.is_some() {
            may_answer(operation, StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time.");
        }
    }
}

fn requirement(scheme: &str, role: Option<&str>) -> SecurityRequirement {
    SecurityRequirement::new(scheme, role)
}
