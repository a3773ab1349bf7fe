//! The adapters of identity: password hashing and token signing.

mod argon2;
pub(crate) mod credential;
mod jwt;
mod known_tokens;
pub(crate) mod tickets;

pub use self::argon2::{Argon2Cost, Argon2PasswordHasher};
pub use jwt::JwtTokenSigner;
