//! Secrets of refresh tokens, API keys and invitations: 256 random bits, written in hexadecimal and stored as their
//! SHA-256.

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
    hex(&Sha256::digest(text))
}

/// Formats bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Parses the text written by [`hex`]; upper case is rejected, so that a secret has only one spelling.
pub(super) fn from_hex(text: &str) -> Option<[u8; SECRET_BYTES]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; SECRET_BYTES];
    if text.len() != 2 * SECRET_BYTES {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
