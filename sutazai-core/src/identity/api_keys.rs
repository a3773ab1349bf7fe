//! API keys: creation, listing, removal and authentication.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::{ApiKey, ApiKeyId, Caller, NewApiKey, Scope, UserId};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::identity::plaintext_api_key::PlaintextApiKey;

/// Maximum length of a name in characters.
const MAX_NAME: usize = 100;
/// Lifetime of a key that is created without an expiry.
const DEFAULT_TTL: TimeDelta = TimeDelta::days(90);
/// Maximum lifetime of a key.
const MAX_TTL: TimeDelta = TimeDelta::days(365);

/// A newly created API key; the only time that its plaintext is available.
#[derive(Clone, PartialEq, Eq)]
pub struct CreatedApiKey {
    /// The key as stored.
    pub key: ApiKey,
    /// The plaintext that the holder sends with requests.
    pub text: String,
}

impl fmt::Debug for CreatedApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedApiKey").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Identity {
    /// Creates an API key for a user, valid for 90 days by default and one year at most. [`confirm`](Self::confirm)
    /// verifies beforehand that the user is the caller.
    ///
    /// # Errors
    /// `InvalidInput` naming the invalid field; `Conflict` if the user already has 50 keys.
    pub async fn create_api_key(&self, user: UserId, new: NewApiKey) -> Result<CreatedApiKey> {
        let now = self.clock.now();
        let scopes = check(&new, now)?;
        let role = self.user(user).await?.role;
        if let Some(scope) = scopes.iter().find(|scope| !self.config.access.allows(role, scope.permission()))
        {
            return Err(Error::invalid(
                "scopes",
                format!("expected no {scope}, which only admins have on this server"),
            ));
        }
        let text = PlaintextApiKey::generate();
        let key = ApiKey {
            id: ApiKeyId::new(),
            user,
            name: new.name,
            prefix: text.beginning(),
            hash: text.hash(),
            scopes,
            requests_per_minute: new.requests_per_minute,
            created_at: now,
            expires_at: Some(new.expires_at.unwrap_or(now + DEFAULT_TTL)),
            last_used_at: None,
        };
        self.keys.create(&key).await?;
        tracing::info!(user_id = %user, api_key_id = %key.id, "API key created");
        Ok(CreatedApiKey { key, text: text.expose() })
    }

    /// Returns a user's keys, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn api_keys(&self, user: UserId) -> Result<Vec<ApiKey>> {
        self.keys.api_keys(user).await
    }

    /// Removes a user's key. This process rejects it at once, others within 30 s.
    ///
    /// # Errors
    /// `NotFound`, also for a key of another user.
    pub async fn delete_api_key(&self, user: UserId, id: ApiKeyId) -> Result<()> {
        self.keys.delete(user, id).await?;
        self.api_key_cache.forget(id);
        tracing::info!(user_id = %user, api_key_id = %id, "API key deleted");
        Ok(())
    }

    /// Returns whether the text has the prefix of an API key, and so is no access token.
    pub fn is_api_key(text: &str) -> bool {
        PlaintextApiKey::has_api_key_prefix(text)
    }

    /// Returns whether this token or key is unknown, as far as can be determined without the store: it is no token
    /// signed by us, however old, and no key that was recently valid here.
    pub fn is_failed_auth(&self, text: &str) -> bool {
        match Self::is_api_key(text) {
            true => PlaintextApiKey::parse(text).is_none_or(|key| !self.api_key_cache.knew(&key.hash())),
            false => !self.signer.is_own(text),
        }
    }

    /// Authenticates an API key. A key in use is read from the store once per 30 s.
    ///
    /// # Errors
    /// `Unauthenticated`, without a reason; those of the store.
    pub async fn authenticate_key(&self, text: &str) -> Result<Caller> {
        let now = self.clock.now();
        let hash = PlaintextApiKey::parse(text).ok_or_else(refused)?.hash();
        let key = match self.api_key_cache.get(&hash, now) {
            Some(key) => key,
            None => self.look_up(&hash, now).await?,
        };
        if key.expires_at.is_some_and(|end| end <= now) {
            return Err(refused());
        }
        if self.api_key_cache.counts(&hash, now)
            && let Err(e) = self.keys.record_use(key.id, now).await
        {
            tracing::warn!(api_key_id = %key.id, error = %e, "API key use not recorded");
        }
        Ok(Caller::Key {
            id: key.id,
            user: key.user,
            scopes: key.scopes.clone(),
            requests_per_minute: key.requests_per_minute,
        })
    }

    async fn look_up(&self, hash: &str, now: DateTime<Utc>) -> Result<Arc<ApiKey>> {
        let key = self.keys.find(hash).await?.ok_or_else(refused)?;
        let user = self.store.user(key.user).await?.filter(|user| !user.disabled).ok_or_else(refused)?;
        let allowed = |scope: &Scope| self.config.access.allows(user.role, scope.permission());
        let scopes = key.scopes.iter().copied().filter(allowed).collect();
        let key = Arc::new(ApiKey { scopes, ..key });
        self.api_key_cache.add(key.clone(), now);
        Ok(key)
    }
}

/// Validates all fields; returns the scopes sorted and without duplicates.
fn check(new: &NewApiKey, now: DateTime<Utc>) -> Result<Vec<Scope>> {
    let length = new.name.chars().count();
    if !(1..=MAX_NAME).contains(&length) || new.name.chars().any(char::is_control) {
        return Err(Error::invalid("name", format!("expected 1 to {MAX_NAME} printable characters")));
    }
    if new.scopes.is_empty() {
        return Err(Error::invalid("scopes", "expected at least one scope"));
    }
    if new.expires_at.is_some_and(|end| end <= now || end > now + MAX_TTL) {
        let days = MAX_TTL.num_days();
        return Err(Error::invalid("expires_at", format!("expected a time within the next {days} days")));
    }
    let mut scopes = new.scopes.clone();
    scopes.sort_unstable();
    scopes.dedup();
    Ok(scopes)
}

fn refused() -> Error {
    Error::new(ErrorKind::Unauthenticated, "the API key is invalid")
}
