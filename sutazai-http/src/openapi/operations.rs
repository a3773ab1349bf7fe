//! Access to the operations of an OpenAPI description.

use axum::http::StatusCode;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, Response};

/// Iterates over all operations of all paths and methods.
pub(super) fn all(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    document
        .paths
        .paths
        .values_mut()
        .flat_map(|item| {
            [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch, &mut item.head]
        })
        .flatten()
}

/// Adds a response, unless the operation itself documents this status.
pub(super) fn may_answer(operation: &mut Operation, status: StatusCode, description: impl Into<String>) {
    let answer = || Response::new(description).into();
    operation.responses.responses.entry(status.as_str().to_owned()).or_insert_with(answer);
}
