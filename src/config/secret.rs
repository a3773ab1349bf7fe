//! Text that never appears in a log, an error or `Debug` output.

use std::fmt;

/// Secret text, such as a password or a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`, so that it appears in no log, error or `Debug` output.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text itself. Call it only where the text is used.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns whether the secret is PEM (RFC 7468); [`entropy_bits`](Self::entropy_bits) does not apply to
    /// that form.
    pub(super) fn is_pem(&self) -> bool {
        self.0.trim_start().starts_with("-----BEGIN")
    }

    /// Returns an upper bound of the entropy in bits: the Shannon entropy of the byte frequencies, over the
    /// part that does not repeat.
    pub(super) fn entropy_bits(&self) -> f64 {
        let bytes = self.0.as_bytes();
        let period =
            (1..=bytes.len()).find(|period| bytes.iter().skip(*period).eq(&bytes[..bytes.len() - period]));
        let part = &bytes[..period.unwrap_or(bytes.len())];
        let mut counts = [0_u32; 256];
        part.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        let length = part.len() as f64;
        let bits = |count: u32| -f64::from(count) * (f64::from(count) / length).log2();
        counts.into_iter().filter(|count| *count > 0).map(bits).sum()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_ignores_repetition() {
        for weak in [
            "k".repeat(64),
            "0123456789abcdef".repeat(4),
            "password".repeat(8),
            "aaaaaaaabbbbbbbbccccccccdddddddd".into(),
        ] {
            assert!(Secret::new(&weak).entropy_bits() < 96.0, "{weak}");
        }
        for good in [
            "7f3a91c04be2d8561e9fa07c3b5d2846",
            "correct horse battery staple, said the ship",
            "Zm9vYmFyIHF1dXggeHl6enkgcGx1Z2g",
        ] {
            assert!(Secret::new(good).entropy_bits() >= 96.0, "{good}: {}", Secret::new(good).entropy_bits());
        }
        assert_eq!(Secret::new("").entropy_bits(), 0.0);
    }
}
