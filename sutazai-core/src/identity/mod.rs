//! Users, their sessions, tokens and keys: the use cases over [`crate::ports::IdentityStore`],
//! [`crate::ports::ApiKeyStore`], [`crate::ports::PasswordHasher`] and [`crate::ports::TokenSigner`].
//!
//! Somebody who signs in gets two tokens. The *access token* is signed, short-lived and checked without a look at
//! any store. The *refresh token* is a random number whose SHA-256 stands in the session; each use replaces it, and
//! a token that comes back after it was replaced has been stolen from one side or the other: it ends the session, unless its
//! own client repeats it within 30 seconds. The hashes of replaced tokens are kept, so that a secret which no session ever had
//! ends nothing.
//!
//! A session that ends in this process is refused at once. One that ends in another process is refused once
//! [`Identity::follow_ended_sessions`] has heard of it, within 20 seconds; a server that does not run it lets the access
//! token live on, for at most `access_ttl`.
//!
//! An *API key* is a random number too, for programs; it is looked up once in half a minute.

mod administer;
mod api_key_text;
mod api_keys;
mod authenticate;
mod change_password;
mod client;
mod confirm;
mod delete_user;
mod follow;
mod hash_queue;
mod invitations;
mod known_keys;
mod login;
mod password;
mod refresh;
mod refresh_token;
mod register;
mod revoked;
mod secret;
mod service;
mod sessions;
mod spellings;
mod throttle;

pub use api_keys::CreatedApiKey;
pub use change_password::ChangedPassword;
pub use client::Client;
pub use delete_user::UserData;
pub use invitations::CreatedInvitation;
pub use service::{Authenticated, Identity, IdentityConfig, SignedIn};
