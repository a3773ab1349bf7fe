//! Password rules: rejects passwords that are too short, too long, or among the first that anybody would try (NIST SP
//! 800-63B, 5.1.1.2; as it advises, there are no rules about kinds of characters).

use std::sync::LazyLock;

use crate::error::{Error, Result};
use crate::identity::spellings::composed;

/// Minimum length of a password in characters.
const MIN_CHARACTERS: usize = 8;
/// Maximum length of a password in bytes: far more than anybody types, and a bound on the work of hashing.
pub(super) const MAX_BYTES: usize = 1_024;

/// The 5,000 most common passwords of sufficient length, sorted by their bytes. `scripts/common-passwords.sh` derives
/// them from the frequency list of zxcvbn: Copyright (c) 2012-2016 Dan Wheeler and Dropbox, Inc., MIT license.
const COMMON_PASSWORDS: &str = include_str!("common_passwords.txt");

/// Words of the most common passwords, which are also rejected with digits or signs around them.
const COMMON_WORDS: &[&str] = &[
    "password",
    "passw0rd",
    "p@ssword",
    "p@ssw0rd",
    "passwort",
    "pass",
    "qwerty",
    "qwertyuiop",
    "qwertz",
    "qwertzuiop",
    "azerty",
    "asdfgh",
    "asdfghjkl",
    "zxcvbn",
    "zxcvbnm",
    "1q2w3e4r",
    "1q2w3e4r5t",
    "1qaz2wsx",
    "q1w2e3r4",
    "qazwsx",
    "qazwsxedc",
    "iloveyou",
    "letmein",
    "welcome",
    "w3lcome",
    "monkey",
    "dragon",
    "football",
    "baseball",
    "basketball",
    "sunshine",
    "princess",
    "superman",
    "batman",
    "master",
    "shadow",
    "michael",
    "jennifer",
    "jordan",
    "trustno",
    "starwars",
    "whatever",
    "computer",
    "internet",
    "administrator",
    "admin",
    "root",
    "toor",
    "user",
    "guest",
    "test",
    "testtest",
    "changeme",
    "change",
    "secret",
    "default",
    "login",
    "access",
    "hello",
    "freedom",
    "liverpool",
    "chocolate",
    "pokemon",
    "charlie",
    "sutazai",
    "abc",
    "abcd",
];

/// Checks that this password is acceptable for a user with this name and address.
pub(super) fn check(password: &str, username: &str, email: &str) -> Result<()> {
    let refuse = |why: String| Err(Error::invalid("password", why));
    check_length(password)?;
    let password = composed(password);
    if password.chars().count() < MIN_CHARACTERS {
        return refuse(format!("expected at least {MIN_CHARACTERS} characters"));
    }
    let password = password.to_lowercase();
    let (email, username) = (email.to_lowercase(), username.to_lowercase());
    let mailbox = email.split('@').next().unwrap_or_default();
    if [email.as_str(), mailbox, username.as_str()].contains(&password.as_str()) {
        return refuse("expected something other than the username or the e-mail address".into());
    }
    let word = password.trim_matches(|c: char| !c.is_alphabetic());
    if is_listed(&password)
        || is_listed(word)
        || is_run(&password)
        || word.is_empty() && is_run_twice(&password)
        || is_common(&password)
    {
        return refuse("expected a password that is not among the commonest".into());
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

/// Returns whether the text is one of the most common passwords.
fn is_listed(password: &str) -> bool {
    static SORTED: LazyLock<Vec<&str>> = LazyLock::new(|| COMMON_PASSWORDS.lines().collect());
    SORTED.binary_search(&password).is_ok()
}

/// Returns whether the text is a common word, alone or with digits and signs around it.
fn is_common(password: &str) -> bool {
    let digit_or_sign = |c: char| !c.is_alphabetic();
    COMMON_WORDS.iter().any(|word| {
        password.find(word).is_some_and(|at| {
            let (before, after) = (&password[..at], &password[at + word.len()..]);
            before.chars().all(digit_or_sign) && after.chars().all(digit_or_sign)
        })
    })
}

/// Returns whether each character follows the previous one by the same step of -1, 0 or 1, with 0 after 9: `aaaaaaaa`,
/// `12345678`, `hgfedcba`.
fn is_run(text: &str) -> bool {
    let steps = |step: i64| {
        text.chars().zip(text.chars().skip(1)).all(|(one, two)| {
            let distance = i64::from(u32::from(two)) - i64::from(u32::from(one));
            distance == step || (one, two, step) == ('9', '0', 1) || (one, two, step) == ('0', '9', -1)
        })
    };
    (-1..=1).any(steps)
}

/// Returns whether the text consists of two runs of equal length: `11112222`, `12341234`.
fn is_run_twice(digits: &str) -> bool {
    let half = digits.len() / 2;
    digits.is_char_boundary(half) && is_run(&digits[..half]) && is_run(&digits[half..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(password: &str) -> Result<()> {
        check(password, "Ada_Lovelace", "countess@example.org")
    }

    #[test]
    fn valid_seeds() {
        for good in [
            "correct horse battery",
            "tr0ub4dor&3",
            "pässwörter",
            "passwordless-sign-in",
            "94817263",
            &"xy".repeat(512),
        ] {
            assert!(tried(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn weak_ones() {
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
            "ada_lovelace",
            "COUNTESS",
            "countess@example.org",
        ] {
            assert_eq!(tried(weak).unwrap_err().field(), Some("password"), "{weak}");
        }
        assert!(tried(&"xy".repeat(513)).is_err());
    }

    #[test]
    fn most_common_passwords_are_rejected() {
        let listed: Vec<&str> = COMMON_PASSWORDS.lines().collect();
        assert!(listed.len() >= 3_000 && listed.is_sorted(), "{} of them", listed.len());
        assert!(listed.iter().all(|password| tried(password).is_err()));
        for common in ["elephant", "Steelers", "MARLBORO", "scorpion1", "butthead!"] {
            assert_eq!(tried(common).unwrap_err().field(), Some("password"), "{common}");
        }
    }

    #[test]
    fn error_does_not_repeat_the_password() {
        assert!(!tried("Password1!").unwrap_err().to_string().contains("Password1!"));
    }
}
