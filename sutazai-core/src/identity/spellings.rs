//! One password however its letters are composed: some keyboards write `é` as one character and others as two (RFC 8265, 4.2.2).
//!
//! New hashes are of the composed form, Unicode's NFC. Hashes of before are of whatever was typed then, so a password that does
//! not fit is tried as it was typed and decomposed as well: which spellings are tried depends on the password alone, not on
//! whether there is such a user. What fits another spelling is hashed anew.

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::domain::User;
use crate::error::Result;
use crate::identity::Identity;
use crate::identity::hash_queue::Source;

/// The password in the form in which it is hashed.
pub(super) fn composed(password: &str) -> String {
    password.nfc().collect()
}

/// The spellings that a hash may be of, the composed one first.
fn spellings(password: &str) -> Vec<String> {
    let mut spellings = vec![composed(password)];
    for other in [password.to_owned(), password.nfd().collect()] {
        if !spellings.contains(&other) {
            spellings.push(other);
        }
    }
    spellings
}

/// How a password fits a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    No,
    /// In the composed form.
    Composed,
    /// In another form, which hashes of before may be of.
    OtherSpelling,
}

impl Identity {
    /// Whether a password is this user's; for an unknown user the same work is done in vain.
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
    fn a_password_has_few_spellings_and_most_have_one() {
        assert_eq!(spellings("correct horse"), ["correct horse"]);
        assert_eq!(spellings("caf\u{e9}"), ["caf\u{e9}", "cafe\u{301}"]);
        assert_eq!(spellings("cafe\u{301}"), ["caf\u{e9}", "cafe\u{301}"]);
        // Neither composed nor decomposed as it is.
        assert_eq!(spellings("\u{e9}e\u{301}"), ["\u{e9}\u{e9}", "\u{e9}e\u{301}", "e\u{301}e\u{301}"]);
    }
}
