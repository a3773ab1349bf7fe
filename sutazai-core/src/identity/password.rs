//! Password rules: length, and resistance to guessing as the crate `zxcvbn` estimates it (NIST SP 800-63B, 5.1.1.2; as
//! it advises, there are no rules about kinds of characters).
//!
//! The estimator knows 30,000 common passwords, words, names, keyboard rows, runs, repeats and dates, in any case,
//! reversed and with digits for letters, and the names of the user. Its first use builds these lists: 15 ms and 6 MB.

use std::iter::once;

use zxcvbn::{Entropy, Score, zxcvbn};

use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::identity::hash_queue::Source;
use crate::identity::spellings::composed;

/// Minimum length of a password in characters.
const MIN_CHARACTERS: usize = 8;
/// Maximum length of a password in bytes: far more than anybody types, and a bound on the work of hashing.
pub(super) const MAX_BYTES: usize = 1_024;
/// Minimum strength: more than a million failed_auth, which take 23 days at the limit of one every two seconds for an
/// account. The next level, 100 million, would refuse all passwords of eight random characters; this one refuses one in
/// two thousand.
const MIN_STRENGTH: Score = Score::Two;
/// Maximum number of characters that are rated. The work grows with the square of the length: an adversarial password
/// costs 30 ms with 32 characters and 300 ms with 100, and 32 characters are enough to be strong.
const MAX_RATED_CHARACTERS: usize = 32;
/// Name of the product, which is as easy to guess as the user's.
const PRODUCT_NAME: &str = "sutazai";

/// Checks the length of a new password, and that it is not the name or the address of its user.
pub(super) fn check(password: &str, username: &str, email: &str) -> Result<()> {
    let refuse = |why: String| Err(Error::invalid("password", why));
    check_length(password)?;
    let password = composed(password);
    if password.chars().count() < MIN_CHARACTERS {
        return refuse(format!("expected at least {MIN_CHARACTERS} characters"));
    }
    let password = password.to_lowercase();
    if [email, mailbox(email), username].iter().any(|name| name.to_lowercase() == password) {
        return refuse("expected something other than the username or the e-mail address".into());
    }
    Ok(())
}

/// Rejects a password that cannot be valid before any work is spent on it.
pub(super) fn check_length(password: &str) -> Result<()> {
    if password.len() > MAX_BYTES {
        return Err(Error::invalid(
            "password",
            format!("expected at most {MAX_BYTES} bytes, got {}", password.len()),
        ));
    }
    Ok(())
}

impl Identity {
    /// Rates a new password and hashes its composed form, in one permit of the hash queue: both take a core for
    /// milliseconds.
    ///
    /// # Errors
    /// `InvalidInput` naming `password` if it is easy to guess; `Busy`.
    pub(super) async fn hash_new(
        &self,
        password: &str,
        (username, email): (&str, &str),
        source: Source,
    ) -> Result<String> {
        let password = composed(password);
        let _permit = self.hashing.enter(source).await?;
        let (rated, names) = (password.clone(), [username, email, mailbox(email)].map(str::to_owned));
        let rating = tokio::task::spawn_blocking(move || check_strength(&rated, &names));
        rating.await.map_err(|e| Error::internal("rating a password failed").with_source(e))??;
        self.hasher.hash(&password).await
    }
}

/// Rejects a password that takes at most a million failed_auth by somebody who knows these names.
fn check_strength(password: &str, names: &[String]) -> Result<()> {
    let rated: String = password.chars().take(MAX_RATED_CHARACTERS).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).chain(once(PRODUCT_NAME)).collect();
    let estimate = zxcvbn(&rated, &names);
    if estimate.score() >= MIN_STRENGTH {
        return Ok(());
    }
    let why = format!(
        "expected a password that is harder to guess, with a strength of at least {MIN_STRENGTH} of 4, got {}{}",
        estimate.score(),
        advice(&estimate)
    );
    Err(Error::invalid("password", why))
}

/// Formats the estimator's feedback as clauses of one sentence, each after a semicolon. Its texts are fixed and never
/// contain the password.
fn advice(estimate: &Entropy) -> String {
    let Some(feedback) = estimate.feedback() else { return String::new() };
    let warning = feedback.warning().map(|warning| warning.to_string());
    let texts = warning.into_iter().chain(feedback.suggestions().iter().map(ToString::to_string));
    let clause = |sentence: &str| {
        let mut letters = sentence.trim_end_matches('.').chars();
        letters.next().map(|first| format!("; {}{}", first.to_lowercase(), letters.as_str()))
    };
    texts.flat_map(|text| text.split(". ").filter_map(clause).collect::<Vec<_>>()).collect()
}

/// Returns the part of an address before the `@`.
fn mailbox(email: &str) -> &str {
    email.split('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(password: &str) -> Result<()> {
        let (username, email) = ("Ada_Lovelace", "countess@example.org");
        check(password, username, email)?;
        check_strength(&composed(password), &[username, email, mailbox(email)].map(str::to_owned))
    }

    #[test]
    fn strong_passwords_are_accepted() {
        for good in [
            "correct horse battery",
            "tr0ub4dor&3",
            "pässwörter",
            "passwordless-sign-in",
            "xk7vq2mz",
            "94817263",
            &"correct horse battery ".repeat(46),
        ] {
            assert!(tried(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn weak_passwords_are_rejected() {
        for weak in [
            "",
            "short",
            "1234567",
            "ääääää",
            "a\u{308}o\u{308}u\u{308}x9",
            "aaaaaaaa",
            "12345678",
            "1234567890",
            "87654321",
            "hgfedcba",
            "11112222",
            "12341234",
            "password",
            "Password1!",
            "2024welcome",
            "qwerty123",
            "iloveyou",
            "letmein!!",
            "administrator",
            "elephant",
            "Steelers",
            "MARLBORO",
            "scorpion1",
            "butthead!",
            "ada_lovelace",
            "COUNTESS",
            "countess@example.org",
            "Ada_Lovelace1",
            "sutazai123",
            &"xy".repeat(512),
        ] {
            assert_eq!(tried(weak).unwrap_err().field(), Some("password"), "{weak}");
        }
        assert!(tried(&"correct horse battery ".repeat(47)).is_err(), "too long");
    }

    #[test]
    fn error_has_the_strength_and_the_advice_but_not_the_password() {
        let e = tried("Password1!").unwrap_err();
        assert_eq!(
            e.message(),
            "expected a password that is harder to guess, with a strength of at least 2 of 4, got 1; this is similar \
             to a commonly used password; add another word or two; uncommon words are better; capitalization doesn't \
             help very much"
        );
    }
}
