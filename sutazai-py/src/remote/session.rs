//! Credentials of a client: an API key, or the tokens of a session, which are renewed before they expire.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use sutazai::{Error, Result};
use sutazai_bodies::auth::SignedInView;
use tokio::sync::Mutex;

/// Time before the end of an access token at which it is renewed, unless it lives for less than twice this time.
const RENEWAL_MARGIN: Duration = Duration::from_secs(30);

/// Longest lifetime of an access token that is believed: a server may name any number of seconds.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Credentials that go with each request. Their `Debug` output shows none of them.
#[derive(Clone)]
pub(super) enum Credentials {
    /// No credentials, for a server without users.
    None,
    /// Header with an API key.
    Key(HeaderValue),
    /// Tokens of a session. The lock is held during a renewal, so that there is one at a time.
    Session(Arc<Mutex<Session>>),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Key(_) => "Key",
            Self::Session(_) => "Session",
        })
    }
}

/// Tokens of a session.
pub(super) struct Session {
    access: HeaderValue,
    /// Token for the next renewal.
    pub(super) refresh: String,
    renew_at: Instant,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl Session {
    /// Creates the session of this response.
    ///
    /// # Errors
    /// `Unavailable` if it has no tokens.
    pub(super) fn new(signed_in: SignedInView) -> Result<Self> {
        let missing = || Error::unavailable("expected tokens in the answer of the server");
        let access = bearer(&signed_in.access_token).ok_or_else(missing)?;
        let refresh = signed_in.refresh_token.ok_or_else(missing)?;
        let lifetime = Duration::from_secs(signed_in.expires_in).min(MAX_LIFETIME);
        let margin = RENEWAL_MARGIN.min(lifetime / 2);
        Ok(Self { access, refresh, renew_at: Instant::now() + (lifetime - margin) })
    }

    /// Returns the header of a request, unless the token is to be renewed first: because it is about to expire, or because
    /// the server has refused it.
    pub(super) fn header(&self, refused: Option<&HeaderValue>) -> Option<HeaderValue> {
        let is_good = Instant::now() < self.renew_at && refused != Some(&self.access);
        is_good.then(|| self.access.clone())
    }
}

/// Returns the header with this token; `None` if it has other characters than visible ASCII ones.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}
