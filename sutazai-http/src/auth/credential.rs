//! Credential of a request: a bearer token or an API key.

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sutazai_core::domain::Caller;
use sutazai_core::identity::{Authenticated, Identity};
use sutazai_core::{Error, ErrorKind, Result};

/// Header that may contain an API key when there is no `Authorization`.
const API_KEY_HEADER: &str = "x-api-key";

/// Bearer token (RFC 6750, 2.1) or API key, as the request contains it.
#[derive(Clone)]
pub(crate) struct Credential(Arc<str>);

impl Credential {
    /// Reads the credential from the headers.
    ///
    /// # Errors
    /// `Unauthenticated` with the expected form, when there is none.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if let (None, Some(key)) = (headers.get(AUTHORIZATION), text(API_KEY_HEADER).map(str::trim)) {
            return match Identity::is_api_key(key) {
                true => Ok(Self(key.into())),
                false => Err(Error::new(ErrorKind::Unauthenticated, "the API key is invalid")),
            };
        }
        let token = text(AUTHORIZATION.as_str()).and_then(bearer).ok_or_else(|| {
            let expected = "expected the header `Authorization: Bearer <access token or API key>`";
            Error::new(ErrorKind::Unauthenticated, expected)
        })?;
        Ok(Self(token.into()))
    }

    /// Returns whether the headers contain a credential, valid or not.
    pub(crate) fn is_in(headers: &HeaderMap) -> bool {
        headers.contains_key(AUTHORIZATION) || headers.contains_key(API_KEY_HEADER)
    }

    /// Returns whether the credential is unknown, as far as this process can tell without a query.
    pub(crate) fn is_failed_auth(&self, identity: &Identity) -> bool {
        identity.is_failed_auth(&self.0)
    }

    /// Resolves the credential to its caller.
    ///
    /// # Errors
    /// `Unauthenticated` or `Forbidden` when the credential is invalid or no longer valid; those of the store.
    pub(crate) async fn prove(&self, identity: &Identity) -> Result<(Caller, Option<Authenticated>)> {
        if Identity::is_api_key(&self.0) {
            return Ok((identity.authenticate_key(&self.0).await?, None));
        }
        let authenticated = identity.admit(&self.0).await?;
        Ok((authenticated.caller.clone(), Some(authenticated)))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

/// Extracts the token of an `Authorization` header (RFC 6750, 2.1).
pub(crate) fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
