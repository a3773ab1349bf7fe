//! Plaintext refresh token: the id of its session, and 256 random bits that only its holder knows.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::SessionId;
use crate::identity::Client;
use crate::identity::secret::{SECRET_BYTES, from_hex, hex, random, sha256};

/// A plaintext refresh token. Only its hash is ever stored.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RefreshToken {
    session: SessionId,
    secret: [u8; SECRET_BYTES],
}

impl RefreshToken {
    /// Generates a random token for this session.
    pub(super) fn generate(session: SessionId) -> Self {
        Self { session, secret: random() }
    }

    /// Derives the token that replaces this one, for this client and salt. Only a caller who presents this token from
    /// the same client can derive it again: the store has the salt but no token, and somebody who has found an old
    /// token does not have the salt.
    pub(super) fn successor(&self, salt: &[u8; SECRET_BYTES], client: &Client<'_>) -> Self {
        let client = Sha256::digest(format!("{:?} {:?}", client.address, client.user_agent));
        let mut hasher = Sha256::new();
        // All parts but the first have a fixed length, so different inputs cannot yield the same concatenation.
        for part in [&b"sutazai successor of a refresh token"[..], &self.secret, salt, &client] {
            hasher.update(part);
        }
        Self { session: self.session, secret: hasher.finalize().into() }
    }

    /// Parses the text written by [`expose`](Self::expose).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (session, secret) = text.split_once('.')?;
        // `Uuid` accepts several spellings, but a token has only one.
        let session =
            Uuid::try_parse(session).ok().filter(|id| id.simple().to_string() == session).map(SessionId)?;
        Some(Self { session, secret: from_hex(secret)? })
    }

    /// Returns the session that the token claims to belong to.
    pub(super) fn session(&self) -> SessionId {
        self.session
    }

    /// Returns the plaintext for the holder of the token.
    pub(super) fn expose(&self) -> String {
        format!("{}.{}", self.session.0.simple(), hex(&self.secret))
    }

    /// Returns the SHA-256 of the plaintext in hexadecimal, which is stored. The 256 random bits cannot be guessed, so
    /// no slow hash is needed.
    pub(super) fn hash(&self) -> String {
        sha256(&self.expose())
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken").field("session", &self.session).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_written_values_are_read() {
        let token = RefreshToken::generate(SessionId::new());
        let text = token.expose();
        assert_eq!(RefreshToken::parse(&text), Some(token.clone()));
        assert_ne!(RefreshToken::generate(token.session()), token);
        let hyphens = format!("{}.{}", token.session(), hex(&token.secret));
        for bad in [
            "",
            ".",
            &text[..text.len() - 1],
            &format!("{text}0"),
            &text.to_uppercase(),
            &text.replace('.', ""),
            &hyphens,
        ] {
            assert_eq!(RefreshToken::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_same_token_client_and_salt_derive_the_same_successor() {
        let token = RefreshToken::generate(SessionId::new());
        let client = Client { user_agent: Some("browser"), address: Some([192, 0, 2, 1].into()) };
        let salt = [1; SECRET_BYTES];
        let successor = token.successor(&salt, &client);
        assert_eq!(token.successor(&salt, &client), successor);
        assert_eq!(successor.session(), token.session());
        let elsewhere = Client { address: Some([192, 0, 2, 2].into()), ..client };
        let other_program = Client { user_agent: None, ..client };
        for other in [
            RefreshToken::generate(token.session()).successor(&salt, &client),
            token.successor(&[2; SECRET_BYTES], &client),
            token.successor(&salt, &elsewhere),
            token.successor(&salt, &other_program),
        ] {
            assert_ne!(other, successor);
        }
    }

    #[test]
    fn hash_is_sha_256_and_debug_hides_the_secret() {
        let token = RefreshToken { session: SessionId(Uuid::nil()), secret: [7; SECRET_BYTES] };
        // printf '%032d.%s' 0 $(printf '07%.0s' {1..32}) | sha256sum
        assert_eq!(token.hash(), "26fc16170abe8a661dd233e8dc12c032ed1e7ad3712d6aa2dea4f58e0af42972");
        assert!(!format!("{token:?}").contains("0707"));
    }
}
