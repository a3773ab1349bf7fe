//! Settings of users, their sessions and keys.

use std::time::Duration;

use sutazai_core::Error;
use sutazai_http::auth::JwtTokenSigner;

use super::Environment;
use super::layers::Layers;
use super::secret::Secret;

/// Minimum entropy of a signing key in bits, estimated from its characters: half of what 32 random bytes in
/// hexadecimal have.
const MIN_KEY_ENTROPY: f64 = 96.0;

/// Settings of users, their sessions and keys.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountSettings {
    /// Key that access tokens are signed with: at least 32 bytes, or PEM of an Ed25519 private key.
    pub jwt_secret_key: Option<Secret>,
    /// Previous signing key, whose tokens are still accepted.
    pub jwt_previous_secret_key: Option<Secret>,
    /// Memory of one password hash in KiB.
    pub argon2_memory_kib: u32,
    /// Number of passes of one password hash over its memory.
    pub argon2_iterations: u32,
    /// Admin who is created at the start unless the username is taken.
    pub first_admin: Option<FirstAdmin>,
    /// Lifetime of an access token.
    pub access_ttl: Duration,
    /// Lifetime of a refresh token.
    pub refresh_ttl: Duration,
    /// Maximum life of a session, regardless of refreshes.
    pub session_ttl: Duration,
    /// Maximum life of an admin's session.
    pub admin_session_ttl: Duration,
    /// Allows anybody to register; otherwise registration needs an invitation.
    pub open_registration: bool,
}

/// Admin who is created at the start.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstAdmin {
    /// Username to sign in with.
    pub username: String,
    /// E-mail address of the admin.
    pub email: String,
    /// First password of the admin.
    pub password: Secret,
}

impl Layers {
    /// Reads the settings of users. `enable_auth` is whether callers of this server sign in, and none in a process
    /// without a server, which needs no signing key.
    pub(super) fn accounts(
        &self,
        enable_auth: Option<bool>,
        environment: Option<Environment>,
        problems: &mut Vec<Error>,
    ) -> Option<AccountSettings> {
        let access: Option<u64> = self.number("ACCESS_TOKEN_EXPIRE_MINUTES", problems);
        let refresh = self.days("REFRESH_TOKEN_EXPIRE_DAYS", problems);
        let session = self.days("SESSION_MAX_DAYS", problems);
        let admin_session = self.days("ADMIN_SESSION_MAX_DAYS", problems);
        let registration = self.unless_production("ENABLE_REGISTRATION", environment, problems);
        let memory_kib = self.number("ARGON2_MEMORY_KIB", problems);
        let iterations = self.number("ARGON2_ITERATIONS", problems);
        let key = self.signing_key("JWT_SECRET_KEY", problems);
        let previous_key = self.signing_key("JWT_PREVIOUS_SECRET_KEY", problems);
        if key.is_none() && (environment, enable_auth) == (Some(Environment::Production), Some(true)) {
            let why = "must be set (or JWT_SECRET_KEY_FILE) when ENVIRONMENT is production";
            problems.push(Error::invalid("JWT_SECRET_KEY", why));
        }
        if key.is_some() && key == previous_key {
            let why = "expected another key than JWT_SECRET_KEY";
            problems.push(Error::invalid("JWT_PREVIOUS_SECRET_KEY", why));
        }
        let first_admin = self.first_admin(problems);
        Some(AccountSettings {
            jwt_secret_key: key,
            jwt_previous_secret_key: previous_key,
            argon2_memory_kib: memory_kib?,
            argon2_iterations: iterations?,
            first_admin,
            access_ttl: Duration::from_secs(access? * 60),
            refresh_ttl: refresh?,
            session_ttl: session?,
            admin_session_ttl: admin_session?,
            open_registration: registration?,
        })
    }

    /// Reads a key that signs tokens.
    fn signing_key(&self, name: &'static str, problems: &mut Vec<Error>) -> Option<Secret> {
        let key = self.text(name).map(Secret::new)?;
        if let Err(e) = JwtTokenSigner::new(key.expose().as_bytes()) {
            problems.push(e.with_field(name));
        } else if !is_pem(key.expose()) && entropy_bits(key.expose()) < MIN_KEY_ENTROPY {
            let why =
                "expected a random key, such as that of `openssl rand -hex 32`; this one repeats itself";
            problems.push(Error::invalid(name, why));
        }
        Some(key)
    }

    /// Reads the first admin; username and password must be set together.
    fn first_admin(&self, problems: &mut Vec<Error>) -> Option<FirstAdmin> {
        match (self.text("ADMIN_USERNAME"), self.text("ADMIN_PASSWORD")) {
            (Some(username), Some(password)) => Some(FirstAdmin {
                email: self.text("ADMIN_EMAIL").unwrap_or_else(|| format!("{username}@localhost")),
                username,
                password: Secret::new(password),
            }),
            (Some(_), None) => {
                let why = "must be set (or ADMIN_PASSWORD_FILE) when ADMIN_USERNAME is";
                problems.push(Error::invalid("ADMIN_PASSWORD", why));
                None
            }
            (None, Some(_)) => {
                let why = "must be set when ADMIN_PASSWORD is";
                problems.push(Error::invalid("ADMIN_USERNAME", why));
                None
            }
            (None, None) => None,
        }
    }
}

/// Returns whether the text is PEM (RFC 7468), to which [`entropy_bits`] does not apply.
fn is_pem(text: &str) -> bool {
    text.trim_start().starts_with("-----BEGIN")
}

/// Returns an upper bound of the entropy of `text` in bits: the Shannon entropy of the byte frequencies, over the part
/// that does not repeat.
fn entropy_bits(text: &str) -> f64 {
    let bytes = text.as_bytes();
    let period =
        (1..=bytes.len()).find(|period| bytes.iter().skip(*period).eq(&bytes[..bytes.len() - period]));
    let part = &bytes[..period.unwrap_or(bytes.len())];
    let mut counts = [0_u32; 256];
    part.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let length = part.len() as f64;
    let bits = |count: u32| -f64::from(count) * (f64::from(count) / length).log2();
    counts.into_iter().filter(|count| *count > 0).map(bits).sum()
}

#[cfg(test)]
mod tests {
    use sutazai_core::identity::IdentityConfig;
    use sutazai_http::auth::Argon2Cost;

    use super::*;
    use crate::config::tests::{problems, read, write_private};

    #[test]
    fn defaults_are_those_of_identity_and_argon2id() {
        let config = read(&[], None, &[]).check().unwrap().accounts;
        let identity = IdentityConfig::default();
        assert_eq!((config.access_ttl, config.refresh_ttl), (identity.access_ttl, identity.refresh_ttl));
        let sessions = (identity.session_ttl, identity.admin_session_ttl);
        assert_eq!((config.session_ttl, config.admin_session_ttl), sessions);
        let cost = Argon2Cost::default();
        assert_eq!((config.argon2_memory_kib, config.argon2_iterations), (cost.memory_kib, cost.iterations));
    }

    #[test]
    fn access_of_untrusted_callers_defaults_by_environment() {
        let secret = ("JWT_SECRET_KEY", "a secret of thirty-two bytes ...");
        let policy = |variables: &[(&str, &str)]| {
            let config = read(&[variables, &[secret]].concat(), None, &[]).check().unwrap();
            (config.accounts.open_registration, config.access.users_read_metrics)
        };
        let production = ("ENVIRONMENT", "production");
        assert_eq!(policy(&[]), (true, true));
        assert_eq!(policy(&[production]), (false, false));
        assert_eq!(policy(&[production, ("ENABLE_REGISTRATION", "on")]), (true, false));
        assert_eq!(
            policy(&[("ENABLE_REGISTRATION", "off"), ("USERS_READ_METRICS", "false")]),
            (false, false)
        );
        for name in ["ENABLE_REGISTRATION", "USERS_READ_METRICS"] {
            assert!(problems(&[(name, "perhaps")])[0].starts_with(name));
        }
    }

    #[test]
    fn keys_can_be_changed() {
        let (new, old) = ("7f3a91c04be2d8561e9fa07c3b5d2846", "c81d5e3f97a204b66b0e8d1f2a9c7345");
        let pair = [("JWT_SECRET_KEY", new), ("JWT_PREVIOUS_SECRET_KEY", old)];
        let config = read(&pair, None, &[]).check().unwrap();
        assert_eq!(config.accounts.jwt_previous_secret_key, Some(Secret::new(old)));
        let same = [("JWT_SECRET_KEY", new), ("JWT_PREVIOUS_SECRET_KEY", new)];
        assert!(problems(&same)[0].starts_with("JWT_PREVIOUS_SECRET_KEY: expected another key"));
        let short = problems(&[("JWT_PREVIOUS_SECRET_KEY", "short")]);
        assert_eq!(short, ["JWT_PREVIOUS_SECRET_KEY: expected at least 32 bytes, got 5"]);
        let regular = problems(&[("JWT_SECRET_KEY", &"change-me-".repeat(10))]);
        assert!(regular[0].starts_with("JWT_SECRET_KEY: expected a random key"), "{regular:?}");
        assert!(!regular[0].contains("change-me"), "{regular:?}");
    }

    #[test]
    fn first_admin_needs_a_name_and_a_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        write_private(&file, "correct horse battery\n");
        let path = file.display().to_string();
        let both = [("ADMIN_USERNAME", "root_1"), ("ADMIN_PASSWORD_FILE", path.as_str())];
        let config = read(&both, None, &[]).check().unwrap();
        let admin = config.accounts.first_admin.clone().unwrap();
        assert_eq!((admin.username.as_str(), admin.email.as_str()), ("root_1", "root_1@localhost"));
        assert_eq!(admin.password.expose(), "correct horse battery");
        assert!(!format!("{config:?}").contains("horse"));
        assert!(problems(&both[..1])[0].starts_with("ADMIN_PASSWORD: must be set"));
        assert!(problems(&both[1..])[0].starts_with("ADMIN_USERNAME: must be set"));
        assert_eq!(read(&[], None, &[]).check().unwrap().accounts.first_admin, None);
    }

    #[test]
    fn entropy_ignores_repetition() {
        for weak in [
            "k".repeat(64),
            "0123456789abcdef".repeat(4),
            "password".repeat(8),
            "aaaaaaaabbbbbbbbccccccccdddddddd".into(),
        ] {
            assert!(entropy_bits(&weak) < 96.0, "{weak}");
        }
        for good in [
            "7f3a91c04be2d8561e9fa07c3b5d2846",
            "correct horse battery staple, said the ship",
            "Zm9vYmFyIHF1dXggeHl6enkgcGx1Z2g",
        ] {
            assert!(entropy_bits(good) >= 96.0, "{good}: {}", entropy_bits(good));
        }
        assert_eq!(entropy_bits(""), 0.0);
    }
}
