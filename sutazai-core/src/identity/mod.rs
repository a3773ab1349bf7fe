//! Users, their sessions and their tokens: the use cases over [`crate::ports::IdentityStore`],
//! [`crate::ports::PasswordHasher`] and [`crate::ports::TokenSigner`].
//!
//! Somebody who signs in gets two tokens. The *access token* is signed, short-lived and checked without a look at
//! any store. The *refresh token* is a random number whose SHA-256 stands in the session; each use replaces it, and
//! a token that comes back after it was replaced has been stolen from one side or the other: it ends the session.
//!
//! A session that was ended in this process is refused at once. In another process its access token is good for the
//! rest of its life, at most `access_ttl`.

mod authenticate;
mod login;
mod password;
mod refresh;
mod refresh_token;
mod register;
mod revoked;
mod service;

pub use service::{Authenticated, Identity, IdentityConfig, SignedIn};
