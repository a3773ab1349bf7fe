//! Identity of a server's users, and its first admin.

use std::sync::Arc;

use sutazai_core::Result;
use sutazai_core::domain::NewUser;
use sutazai_core::identity::{Identity, IdentityConfig, UserData};
use sutazai_core::ports::Clock;
use sutazai_http::auth::{Argon2Cost, Argon2PasswordHasher, JwtTokenSigner};
use sutazai_store::Stores;

use super::signing_key::kept_secret;
use crate::config::{Config, FirstAdmin};

/// Builds the use cases of identity over these stores.
///
/// # Errors
/// `InvalidInput` naming the setting of a key or of the cost of a hash; `Unavailable` naming `JWT_SECRET_KEY` if no key is
/// set and none can be kept next to the database.
pub fn identity(config: &Config, stores: &Stores, clock: Arc<dyn Clock>) -> Result<Identity> {
    let accounts = &config.accounts;
    let secret = match &accounts.jwt_secret_key {
        Some(secret) => secret.clone(),
        None => kept_secret(config)?,
    };
    let hasher = Arc::new(Argon2PasswordHasher::new(Argon2Cost {
        memory_kib: accounts.argon2_memory_kib,
        iterations: accounts.argon2_iterations,
        ..Argon2Cost::default()
    })?);
    let mut signer = JwtTokenSigner::new(secret.expose().as_bytes())?;
    if let Some(previous) = &accounts.jwt_previous_secret_key {
        signer = signer.accept_previous(previous.expose().as_bytes())?;
    }
    let settings = IdentityConfig {
        access_ttl: accounts.access_ttl,
        refresh_ttl: accounts.refresh_ttl,
        session_ttl: accounts.session_ttl,
        admin_session_ttl: accounts.admin_session_ttl,
        open_registration: accounts.open_registration,
        access: config.access,
    };
    let (users, keys) = (stores.identity.clone(), stores.api_keys.clone());
    let data = UserData {
        tasks: stores.tasks.clone(),
        schedules: stores.schedules.clone(),
        conversations: stores.conversations.clone(),
        documents: stores.documents.clone(),
    };
    Ok(Identity::new(users, keys, hasher, Arc::new(signer), clock, settings).data(data))
}

/// Creates the first admin, unless the username is taken.
pub(super) async fn first_admin(identity: &Identity, admin: &FirstAdmin) -> Result<()> {
    let new = NewUser {
        username: admin.username.clone(),
        email: admin.email.clone(),
        password: admin.password.expose().to_owned(),
    };
    identity.ensure_admin(new).await.map_err(|e| match e.field() {
        Some("username") => e.with_field("ADMIN_USERNAME"),
        Some("email") => e.with_field("ADMIN_EMAIL"),
        Some("password") => e.with_field("ADMIN_PASSWORD"),
        _ => e,
    })
}
