//! The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

use axum::http::HeaderMap;
use sutazai_core::Error;

/// The name of the header, in lower case as errors name it.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The key that a request came with.
///
/// # Errors
/// `InvalidInput` naming the header.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let refused = |_| Error::invalid(IDEMPOTENCY_KEY, "expected visible ASCII characters");
    headers.get(IDEMPOTENCY_KEY).map(|key| key.to_str().map(str::to_owned).map_err(refused)).transpose()
}
