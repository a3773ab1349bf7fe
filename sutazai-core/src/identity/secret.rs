//! What refresh tokens and API keys have in common: 256 random bits, written in hexadecimal, stored as their SHA-256.

use rand::RngCore;
use sha2::{Digest, Sha256};

/// Bytes of a secret.
pub(super) const SECRET_BYTES: usize = 32;

/// From the operating system's random numbers by way of a cryptographic generator.
pub(super) fn random() -> [u8; SECRET_BYTES] {
    let mut secret = [0; SECRET_BYTES];
    rand::rng().fill_bytes(&mut secret);
    secret
}

/// SHA-256 in hexadecimal. With 256 random bits in the text there is nothing to guess, so no slow hash is needed.
pub(super) fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// In lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what [`hex`] wrote; a secret has one spelling.
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
