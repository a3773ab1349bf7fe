//! Errors in the form of OpenAI's protocol.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;

/// Error in the form that OpenAI's clients expect.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenAiError)]
pub(crate) struct ProtocolError {
    error: ProtocolErrorBody,
    #[serde(skip)]
    status: StatusCode,
}

/// Details of the error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenAiErrorBody)]
struct ProtocolErrorBody {
    /// Explanation of the error, for people.
    message: String,
    /// Class of the error.
    r#type: &'static str,
    /// Parameter that is invalid.
    param: Option<String>,
    /// Error code, for programs.
    code: &'static str,
}

impl From<&ApiError> for ProtocolError {
    fn from(e: &ApiError) -> Self {
        // The protocol uses 400 for every invalid or unsupported request.
        let status = match e.status() {
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::NOT_IMPLEMENTED => StatusCode::BAD_REQUEST,
            status => status,
        };
        let code = match (status, e.code()) {
            (StatusCode::UNAUTHORIZED, _) => "invalid_api_key",
            (StatusCode::TOO_MANY_REQUESTS, _) => "rate_limit_exceeded",
            (_, "not_found") if e.field() == Some("model") => "model_not_found",
            (_, "not_found") => "unknown_url",
            (_, "method_not_allowed") => "method_not_supported",
            (_, code) => code,
        };
        let kind = match status {
            StatusCode::FORBIDDEN => "permission_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        let (message, param) = (e.message().to_owned(), e.field().map(str::to_owned));
        Self { error: ProtocolErrorBody { message, r#type: kind, param, code }, status }
    }
}

impl ProtocolError {
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Serializes the error, which cannot fail: it consists of strings only.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
