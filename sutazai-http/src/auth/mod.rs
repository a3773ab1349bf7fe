//! Adapters of identity: password hashing, token signing, credentials of requests, session cookies, and stream tickets.

mod argon2;
pub(crate) mod credential;
mod jwt;
pub(crate) mod session_cookie;
pub(crate) mod tickets;
mod verified_token_cache;

pub use self::argon2::{Argon2Cost, Argon2PasswordHasher};
pub use jwt::JwtTokenSigner;
