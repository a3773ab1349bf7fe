//! Plaintext API key: a prefix by which people and secret scanners recognize it, and 256 random bits in hexadecimal.

use std::fmt;

use crate::identity::secret::{SECRET_BYTES, from_hex, hex, random, sha256};

/// Prefix of every API key.
const PREFIX: &str = "sutz_";
/// Length of the part that is stored and shown to its user: the prefix and 32 of the 256 bits.
const SHOWN: usize = PREFIX.len() + 8;

/// A plaintext API key. Only its hash and its first characters are ever stored.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PlaintextApiKey([u8; SECRET_BYTES]);

impl PlaintextApiKey {
    /// Generates a random key.
    pub(super) fn generate() -> Self {
        Self(random())
    }

    /// Parses the text written by [`expose`](Self::expose).
    pub(super) fn parse(text: &str) -> Option<Self> {
        from_hex(text.strip_prefix(PREFIX)?).map(Self)
    }

    /// Returns whether the text has the prefix of an API key, and so is no access token.
    pub(super) fn has_api_key_prefix(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Returns the plaintext for the holder of the key.
    pub(super) fn expose(&self) -> String {
        format!("{PREFIX}{}", hex(&self.0))
    }

    /// Returns the first characters, which are stored and shown.
    pub(super) fn beginning(&self) -> String {
        self.expose().chars().take(SHOWN).collect()
    }

    /// Returns the SHA-256 of the plaintext in hexadecimal, which is stored.
    pub(super) fn hash(&self) -> String {
        sha256(&self.expose())
    }
}

impl fmt::Debug for PlaintextApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlaintextApiKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_written_values_are_read() {
        let key = PlaintextApiKey::generate();
        let text = key.expose();
        assert_eq!((text.len(), PlaintextApiKey::parse(&text)), (69, Some(key.clone())));
        assert_ne!(PlaintextApiKey::generate(), key);
        for bad in ["", "sutz_", &text[5..], &text[..68], &format!("{text}0"), &text.to_uppercase()] {
            assert_eq!(PlaintextApiKey::parse(bad), None, "{bad}");
        }
        assert!(
            PlaintextApiKey::has_api_key_prefix("sutz_")
                && !PlaintextApiKey::has_api_key_prefix("eyJhbGciOi")
        );
    }

    #[test]
    fn hash_is_sha_256_and_debug_hides_the_secret() {
        let key = PlaintextApiKey([7; SECRET_BYTES]);
        // printf 'sutz_%s' $(printf '07%.0s' {1..32}) | sha256sum
        assert_eq!(key.hash(), "79b02338181968b4ce5775877ae4f6fb5ade460e8b502ea34ff66c2f92b00f22");
        assert_eq!(key.beginning(), "sutz_07070707");
        assert_eq!(format!("{key:?}"), "PlaintextApiKey(hidden)");
    }
}
