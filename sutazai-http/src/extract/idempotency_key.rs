//! The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

use axum::http::HeaderMap;
use sutazai_core::Error;

/// Name of the header, in lower case as in error messages.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Returns the idempotency key of a request.
///
/// # Errors
/// `InvalidInput` naming the header when its value is not visible ASCII.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let refused = |_| Error::invalid(IDEMPOTENCY_KEY, "expected visible ASCII characters");
    headers.get(IDEMPOTENCY_KEY).map(|key| key.to_str().map(str::to_owned).map_err(refused)).transpose()
}
