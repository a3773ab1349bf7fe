//! What `router` asks of callers, as the document tells it.

use axum::http::StatusCode;
use sutazai_core::domain::Permission;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::SecurityRequirement;

use super::api::{ACCESS_TOKEN, API_KEY, TICKET};
use super::envelope::describe_errors;
use super::operations::{all, may_answer};

/// These operations need a sign-in; an API key is as good where no permission says otherwise.
pub(crate) fn signed_in(document: &mut OpenApi) {
    for operation in all(document) {
        operation
            .security
            .get_or_insert_with(|| vec![requirement(ACCESS_TOKEN, None), requirement(API_KEY, None)]);
        may_answer(operation, StatusCode::UNAUTHORIZED, "No token or key, or one that is not good.");
    }
}

/// A ticket is as good for these operations.
pub(crate) fn ticketed(document: &mut OpenApi) {
    for operation in all(document) {
        operation.security.get_or_insert_default().push(requirement(TICKET, None));
    }
}

/// These operations take the parameters in the query that the document names, and no other.
pub(crate) fn queried(document: &mut OpenApi) {
    for operation in all(document) {
        let why = "Something does not fit, such as a parameter that is none of this route; `details.field` names it.";
        may_answer(operation, StatusCode::UNPROCESSABLE_ENTITY, why);
        describe_errors(operation);
    }
}

/// Whether a ticket is good for an operation.
pub(crate) fn has_ticket(operation: &Operation) -> bool {
    let ticket = requirement(TICKET, None);
    operation.security.as_ref().is_some_and(|ways| ways.contains(&ticket))
}

/// These operations need this permission.
pub(crate) fn permitted(document: &mut OpenApi, permission: Permission) {
    let scope = permission.scope();
    let why = match (permission, scope) {
        (_, Some(scope)) => format!("The API key lacks the scope `{scope}`."),
        (Permission::Administer, None) => "Only admins may do this, and no API key.".to_owned(),
        (_, None) => "No API key may do this.".to_owned(),
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

/// These operations are about users.
pub(crate) fn about_users(document: &mut OpenApi) {
    for operation in all(document) {
        may_answer(operation, StatusCode::NOT_IMPLEMENTED, "This server runs without users.");
    }
}

/// These operations have a time limit.
pub(crate) fn timed(document: &mut OpenApi) {
    for operation in all(document) {
        may_answer(operation, StatusCode::GATEWAY_TIMEOUT, "It was not done in time.");
    }
}

/// The bodies of these operations have at most this size.
pub(crate) fn sized(document: &mut OpenApi, bytes: usize) {
    for operation in all(document).filter(|operation| operation.request_body.is_some()) {
        let why = format!("The body is over {bytes} bytes.");
        may_answer(operation, StatusCode::PAYLOAD_TOO_LARGE, why);
    }
}

/// These operations may be asked so often, and their bodies have to arrive in time.
pub(crate) fn limited(document: &mut OpenApi) {
    for operation in all(document) {
        let why = "Too many requests; `Retry-After` says when the next may come.";
        may_answer(operation, StatusCode::TOO_MANY_REQUESTS, why);
        if operation.request_body.is_some() {
            may_answer(operation, StatusCode::REQUEST_TIMEOUT, "The body did not arrive in time.");
        }
    }
}

fn requirement(scheme: &str, role: Option<&str>) -> SecurityRequirement {
    SecurityRequirement::new(scheme, role)
}
