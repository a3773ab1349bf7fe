//! Identity: users with their sessions, tokens and API keys, as use cases over [`crate::ports::IdentityStore`],
//! [`crate::ports::ApiKeyStore`], [`crate::ports::PasswordHasher`] and [`crate::ports::TokenSigner`].
//!
//! Signing in yields two tokens. The *access token* is signed, short-lived and verified without a store. The *refresh
//! token* is a random secret whose SHA-256 is stored in the session; each use replaces it. A token that is presented
//! after it was replaced has been copied, so it revokes the session, unless its own client repeats it within 30
//! s. The hashes of replaced tokens are kept, so that a secret which no session ever had revokes nothing.
//!
//! A session revoked in this process is rejected at once. A session revoked in another process is rejected once
//! [`Identity::follow_ended_sessions`] has read it, within 20 s; a server that does not run it accepts the access token
//! until it expires, for at most `access_ttl`.
//!
//! While a server has no admin, whoever started it can create the first one with a one-time *setup code*.
//!
//! An *API key* is a random secret for programs; it is looked up in the store once per 30 s.

mod administer;
mod api_key_cache;
mod api_keys;
mod authenticate;
mod change_password;
mod client;
mod confirm;
mod delete_user;
mod hash_queue;
mod invitations;
mod login;
mod password;
mod plaintext_api_key;
mod refresh;
mod refresh_token;
mod register;
mod revocation_poller;
mod revoked;
mod secret;
mod service;
mod sessions;
mod setup;
mod spellings;
mod throttle;

pub use api_keys::CreatedApiKey;
pub use change_password::ChangedPassword;
pub use client::Client;
pub use delete_user::UserData;
pub use invitations::CreatedInvitation;
pub use service::{Authenticated, Identity, IdentityConfig, SignedIn};
