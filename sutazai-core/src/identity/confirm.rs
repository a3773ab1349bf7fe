//! Confirmation that the user makes the request, and not somebody who has obtained one of their tokens.

use chrono::TimeDelta;

use crate::domain::{SessionId, User, UserId};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::hash_queue::Source;
use crate::identity::spellings::Fit;
use crate::identity::{Identity, password};

/// Time after signing in during which the password is not requested again.
const FRESH: TimeDelta = TimeDelta::minutes(5);

impl Identity {
    /// Confirms that the user of this session is present: they know the password, or signed in less than 5 minutes ago.
    ///
    /// # Errors
    /// `Forbidden` naming `password` if it is missing or wrong; `RateLimited`, `Busy`.
    pub async fn confirm(&self, user: UserId, session: SessionId, password: Option<&str>) -> Result<()> {
        let user = self.user(user).await?;
        if let Some(password) = password {
            return self.confirm_password(&user, password).await;
        }
        let begun = self.store.session(session).await?.filter(|session| session.user == user.id);
        if begun.is_some_and(|session| self.clock.now() - session.created_at < FRESH) {
            return Ok(());
        }
        let why = "expected the password: the sign-in is more than five minutes old";
        Err(Error::new(ErrorKind::Forbidden, why).with_field("password"))
    }

    /// Confirms that this is the user's password.
    ///
    /// # Errors
    /// `Forbidden` naming `password` if it is wrong; `RateLimited`, `Busy`.
    pub(super) async fn confirm_password(&self, user: &User, password: &str) -> Result<()> {
        password::check_length(password)?;
        // A separate counter from that of sign-ins: failed sign-ins by untrusted callers must not slow down a signed-in
        // user.
        let account = format!("signed in {}", user.id);
        self.slow_down(&account, None).await?;
        if self.verify(password, Some(user), Source::User(user.id)).await? != Fit::No {
            return Ok(());
        }
        self.throttle.failed(&account, self.clock.now());
        tracing::info!(user_id = %user.id, "password rejected");
        Err(Error::new(ErrorKind::Forbidden, "the password is wrong").with_field("password"))
    }
}
