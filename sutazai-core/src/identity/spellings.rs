//! Unicode spellings of a password: some keyboards write `é` as one character, others as two (RFC 8265, 4.2.2).
//!
//! New hashes are of the composed form, Unicode's NFC. Older hashes are of whatever was typed, so a password that does
//! not match is also tried as typed and decomposed. Which spellings are tried depends on the password alone, not on
//! whether the user exists. A password that matches in another spelling is rehashed.

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::domain::User;
use crate::error::Result;
use crate::identity::Identity;
use crate::identity::hash_queue::Source;

/// Returns the password in the form in which it is hashed.
pub(super) fn composed(password: &str) -> String {
    password.nfc().collect()
}

/// Returns the spellings that a hash may be of, the composed one first.
fn spellings(password: &str) -> Vec<String> {
    let mut spellings = vec![composed(password)];
    for other in [password.to_owned(), password.nfd().collect()] {
        if !spellings.contains(&other) {
            spellings.push(other);
        }
    }
    spellings
}

/// Result of comparing a password with a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    No,
    /// Matches in the composed form.
    Composed,
    /// Matches in another form, which only older hashes may have.
    OtherSpelling,
}

impl Identity {
    /// Verifies a password of this user; for an unknown user the same work is done.
    pub(super) async fn verify(&self, password: &str, user: Option<&User>, source: Source) -> Result<Fit> {
        let _turn = self.hashing.enter(source).await?;
        for spelling in spellings(password) {
            if self.hasher.verify(&spelling, user.map(|user| user.password_hash.clone())).await? {
                return Ok(if is_nfc(&spelling) { Fit::Composed } else { Fit::OtherSpelling });
            }
        }
        Ok(Fit::No)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_has_few_spellings_and_usually_one() {
        assert_eq!(spellings("correct horse"), ["correct horse"]);
        assert_eq!(spellings("caf\u{e9}"), ["caf\u{e9}", "cafe\u{301}"]);
        assert_eq!(spellings("cafe\u{301}"), ["caf\u{e9}", "cafe\u{301}"]);
        // Neither composed nor decomposed as typed.
        assert_eq!(spellings("\u{e9}e\u{301}"), ["\u{e9}\u{e9}", "\u{e9}e\u{301}", "e\u{301}e\u{301}"]);
    }
}
