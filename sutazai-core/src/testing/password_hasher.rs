//! Conformance suite of the port [`PasswordHasher`].

use std::future::Future;
use std::sync::Arc;

use crate::ports::{Clock, PasswordHasher, SystemClock};

const PASSWORD: &str = "correct horse battery";

/// Runs every check of the contract.
pub async fn run_all<H, F>(make: impl Fn() -> F)
where
    H: PasswordHasher + ?Sized,
    F: Future<Output = Arc<H>>,
{
    password_verifies_against_its_own_hash_only(&*make().await).await;
    two_hashes_differ(&*make().await).await;
    hash_never_contains_the_password(&*make().await).await;
    own_hash_is_not_outdated(&*make().await).await;
    missing_hash_costs_the_same_time(&*make().await).await;
}

/// A password verifies against its own hash and against no other.
pub async fn password_verifies_against_its_own_hash_only<H: PasswordHasher + ?Sized>(hasher: &H) {
    for password in [PASSWORD, "pässwörter, 長い", " spaces at both ends ", &"x".repeat(1_024)] {
        let hash = hasher.hash(password).await.unwrap();
        assert!(hasher.verify(password, Some(hash.clone())).await.unwrap());
        for other in [
            "",
            "Correct horse battery",
            &format!("{password} "),
            password.trim_end_matches(['y', 'x', ' ', '長', 'い']),
        ] {
            assert!(
                !hasher.verify(other, Some(hash.clone())).await.unwrap(),
                "{other:?} is not {password:?}"
            );
        }
    }
    let other = hasher.hash("another password").await.unwrap();
    assert!(!hasher.verify(PASSWORD, Some(other)).await.unwrap());
    // A stored text that is no hash is a bug on our side, and must not accept any password.
    for broken in ["", "no hash", PASSWORD, "$argon2id$v=19$"] {
        assert!(!hasher.verify(PASSWORD, Some(broken.into())).await.unwrap_or(false), "{broken:?}");
    }
}

/// Two hashes of one password differ (salt).
pub async fn two_hashes_differ<H: PasswordHasher + ?Sized>(hasher: &H) {
    let (one, two) = (hasher.hash(PASSWORD).await.unwrap(), hasher.hash(PASSWORD).await.unwrap());
    assert_ne!(one, two);
    assert!(
        hasher.verify(PASSWORD, Some(one)).await.unwrap()
            && hasher.verify(PASSWORD, Some(two)).await.unwrap()
    );
}

/// A hash never contains the password.
pub async fn hash_never_contains_the_password<H: PasswordHasher + ?Sized>(hasher: &H) {
    let hash = hasher.hash(PASSWORD).await.unwrap();
    assert!(hash.starts_with('$'), "not in PHC form: {hash}");
    assert!(!hash.contains(PASSWORD));
}

/// A hash made with the current cost is not outdated; any other text is.
pub async fn own_hash_is_not_outdated<H: PasswordHasher + ?Sized>(hasher: &H) {
    assert!(!hasher.is_outdated(&hasher.hash(PASSWORD).await.unwrap()));
    for other in ["", "no hash", "$2b$12$C6UzMDM.H6dfI/f/IKcEeO7ZbNcPrNWu5cPjMOZbTMCs7RGQWzZ5K"] {
        assert!(hasher.is_outdated(other), "{other:?}");
    }
}

/// `verify` without a hash costs as much as with one, and is false.
pub async fn missing_hash_costs_the_same_time<H: PasswordHasher + ?Sized>(hasher: &H) {
    let hash = hasher.hash(PASSWORD).await.unwrap();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    // Both variants alternate in changing order, so that other load on the machine affects them equally and neither
    // always runs on a thread with warm memory.
    for round in 0..16 {
        let mut variants = [(Some(hash.clone()), &mut with), (None, &mut without)];
        if round % 2 == 1 {
            variants.reverse();
        }
        for (hash, times) in variants {
            let begun = SystemClock.monotonic();
            assert!(!hasher.verify("wrong password", hash).await.unwrap());
            times.push(SystemClock.monotonic() - begun);
        }
    }
    // The minimum is the measurement least disturbed by other load.
    let (with, without) = (with.iter().min().unwrap(), without.iter().min().unwrap());
    assert!(*without > *with / 2 && *without < *with * 2, "with a hash {with:?}, without {without:?}");
}
