//! Sign-in: exchanges a username and a password for a session with its two tokens.

use std::net::IpAddr;

use crate::domain::{Session, SessionId, User, UserChange};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::refresh_token::RefreshToken;
use crate::identity::secret::sha256;
use crate::identity::spellings::{Fit, composed};
use crate::identity::{Client, Identity, SignedIn, password};

/// Maximum stored length of a user agent in characters.
const MAX_USER_AGENT: usize = 200;

impl Identity {
    /// Signs in by username or e-mail; the session records the user agent. An unknown user and a wrong password get the
    /// same response after the same work.
    ///
    /// # Errors
    /// `Unauthenticated`; `Forbidden` for a disabled user who knows the password; `Busy`.
    pub async fn login(&self, login: &str, password: &str, user_agent: Option<&str>) -> Result<SignedIn> {
        self.login_from(login, password, user_agent.into()).await
    }

    /// Signs in like [`login`](Self::login) for a client with a known address. Failed attempts on one account are
    /// delayed, except from addresses where its user has signed in before, and a flood of sign-ins from elsewhere does
    /// not delay this one.
    ///
    /// # Errors
    /// Those of [`login`](Self::login); `RateLimited` if there are too many failed attempts on the account.
    pub async fn login_from(&self, login: &str, password: &str, client: Client<'_>) -> Result<SignedIn> {
        password::check_length(password)?;
        let user = self.store.user_by_login(login).await?;
        // By the typed login and not by the user: otherwise the delay would reveal that a username and an e-mail
        // address belong together.
        let account = self::account(login);
        self.slow_down(&account, client.address).await?;
        let fit = self.verify(password, user.as_ref(), client.source()).await?;
        let fits = fit != Fit::No;
        let now = self.clock.now();
        match user.as_ref().filter(|_| fits) {
            Some(user) => {
                for login in [&user.username, &user.email] {
                    self.throttle.succeeded(&self::account(login), client.address, now);
                }
            }
            None => self.throttle.failed(&account, now),
        }
        match user {
            Some(user) if fits && user.disabled => {
                tracing::info!(user_id = %user.id, "sign-in rejected: user disabled");
                Err(disabled())
            }
            Some(user) if fits => {
                let user = self.with_current_hash(user, password, fit).await;
                self.begin_session(user, client.user_agent).await
            }
            user => {
                // The login is not logged, because people type passwords there by mistake.
                tracing::info!(user_id = user.map(|user| user.id.to_string()), "sign-in rejected");
                Err(Error::new(
                    ErrorKind::Unauthenticated,
                    "the username, the e-mail or the password is wrong",
                ))
            }
        }
    }

    /// Waits for the delay that the failed attempts on this account require.
    pub(super) async fn slow_down(&self, account: &str, from: Option<IpAddr>) -> Result<()> {
        let delay = self.throttle.delay(account, from, self.clock.now())?;
        if !delay.is_zero() {
            self.clock.sleep(delay).await;
        }
        Ok(())
    }

    /// Rehashes the password if the configured cost has changed, or if the hash is of another Unicode spelling. If that
    /// fails, the old hash stays and the sign-in continues with it.
    async fn with_current_hash(&self, user: User, password: &str, fit: Fit) -> User {
        if fit == Fit::Composed && !self.hasher.is_outdated(&user.password_hash) {
            return user;
        }
        let renewed = async {
            let to = self.hasher.hash(&composed(password)).await?;
            let change = UserChange::Rehash { from: user.password_hash.clone(), to: to.clone() };
            let changed = self.store.change_user(user.id, &change, self.clock.now()).await?;
            // A concurrently changed password stays; the session is then rejected because of it.
            Ok::<_, Error>((changed.user.password_hash == to).then_some(to))
        };
        match renewed.await {
            Ok(Some(password_hash)) => User { password_hash, ..user },
            Ok(None) => user,
            Err(e) => {
                tracing::warn!(user_id = %user.id, error = %e, "password not rehashed");
                user
            }
        }
    }

    /// Starts a session for a user who was authenticated by other means: by registering just now, or by an embedder's
    /// own sign-in.
    ///
    /// # Errors
    /// `Forbidden` for a user who has been disabled, `Unauthenticated` for one whose password or role has changed
    /// meanwhile; those of the store.
    pub async fn begin_session(&self, user: User, user_agent: Option<&str>) -> Result<SignedIn> {
        let now = self.clock.now();
        let id = SessionId::new();
        let token = RefreshToken::generate(id);
        let session = Session {
            id,
            user: user.id,
            refresh_hash: token.hash(),
            created_at: now,
            refreshed_at: now,
            expires_at: self.session_end(&user, now, now),
            revoked_at: None,
            user_agent: user_agent.map(|text| text.chars().take(MAX_USER_AGENT).collect()),
        };
        let ended = self.store.create_session(&session).await.map_err(|e| match e.kind() {
            ErrorKind::Conflict => disabled(),
            _ => e,
        })?;
        self.refuse(&ended).await;
        self.store.record_login(user.id, now).await?;
        // A change of the password or role revokes the existing sessions. If it came after the user was read and before
        // the session was stored, it missed this session, so the user is read again.
        let current = self.user(user.id).await?;
        if (&current.password_hash, current.role) != (&user.password_hash, user.role) {
            self.logout(id).await?;
            let why = "the user was changed meanwhile; sign in again";
            return Err(Error::new(ErrorKind::Unauthenticated, why));
        }
        // From here on the request belongs to the user.
        tracing::Span::current().record("user_id", tracing::field::display(user.id));
        tracing::info!(user_id = %user.id, "user signed in");
        self.signed_in(current, token, session.expires_at)
    }
}

/// Key of the failure counter of a login: a hash, whose length is bounded whatever was typed.
fn account(login: &str) -> String {
    sha256(&login.to_lowercase())
}

fn disabled() -> Error {
    Error::new(ErrorKind::Forbidden, "this user is disabled")
}
