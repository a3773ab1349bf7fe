//! Writes answers in the form that OpenAI's clients read (platform.openai.com/docs/guides/error-codes): the bare data, or
//! `{"error": {"message", "type", "param", "code"}}`.

use axum::body::Bytes;
use axum::response::Response;

use crate::dto::openai::error::ProtocolError;
use crate::envelope::Content;

/// Whether answers at this path have this form, those of paths included that lead nowhere.
pub(super) fn is_protocol(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/")
}

/// The body of an answer, which gets the status that the protocol has for it.
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
