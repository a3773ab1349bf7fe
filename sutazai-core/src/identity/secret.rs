//! Secrets of refresh tokens, API keys and invitations: 256 random bits, written in hexadecimal and stored as their
//! SHA-256.

use data_encoding::HEXLOWER;
use rand::RngCore;
use sha2::{Digest, Sha256};

/// Size of a secret in bytes.
pub(super) const SECRET_BYTES: usize = 32;

/// Generates a secret with a cryptographic generator seeded by the operating system.
pub(super) fn random() -> [u8; SECRET_BYTES] {
    let mut secret = [0; SECRET_BYTES];
    rand::rng().fill_bytes(&mut secret);
    secret
}

/// Returns the SHA-256 in hexadecimal. Texts with 256 random bits cannot be guessed, so no slow hash is needed.
pub(super) fn sha256(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text))
}

/// Formats a secret as 64 lower-case hexadecimal digits.
pub(super) fn hex(secret: &[u8; SECRET_BYTES]) -> String {
    HEXLOWER.encode(secret)
}

/// Parses the text written by [`hex`]; upper case is rejected, so that a secret has only one spelling.
pub(super) fn from_hex(text: &str) -> Option<[u8; SECRET_BYTES]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}
