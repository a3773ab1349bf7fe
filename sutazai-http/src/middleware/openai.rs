//! Writes responses in the form that OpenAI's clients expect (platform.openai.com/docs/guides/error-codes): the bare
//! data, or `{"error": {"message", "type", "param", "code"}}`.

use axum::body::Bytes;
use axum::response::Response;

use crate::dto::openai::error::ProtocolError;
use crate::envelope::Content;

/// Returns whether responses at this path have OpenAI's form; includes paths below `/v1` that do not exist.
pub(super) fn is_protocol(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/")
}

/// Serializes the body of a response, and sets the status that the protocol uses for an error.
pub(super) fn write(content: Content, response: &mut Response) -> Bytes {
    match content {
        Content::Data(data) => data,
        Content::Failure(e) => {
            let e = ProtocolError::from(&e);
            *response.status_mut() = e.status();
            e.to_json().into()
        }
    }
}
