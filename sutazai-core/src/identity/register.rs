//! Registration: checks names and password of a new user, then stores the user.

use crate::domain::{NewUser, User, UserId, UserRole, quota};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::hash_queue::Source;
use crate::identity::secret::sha256;
use crate::identity::{Client, Identity, password};

/// Maximum length of an e-mail address (RFC 5321, 4.5.3.1.3, without the angle brackets).
const MAX_EMAIL: usize = 254;
/// Maximum length of the part before the `@` (RFC 5321, 4.5.3.1.1).
const MAX_EMAIL_LOCAL: usize = 64;
/// Maximum length of a label of a domain name (RFC 1035, 2.3.4).
const MAX_DOMAIN_LABEL: usize = 63;

/// Condition under which the store adds a user.
pub(super) enum Admission {
    /// No condition: the caller has checked it.
    Open,
    /// The invitation with this hash is valid; it is used up.
    Invited(String),
    /// Absence of any admin; the account becomes the first one.
    FirstAdmin,
}

impl Identity {
    /// Registers a user with the role `user`. An invitation is used up; it is required if registration is closed.
    ///
    /// # Errors
    /// `Forbidden` naming `invitation` if it is missing or invalid; `InvalidInput` naming the invalid field; `Conflict`
    /// naming the field that is taken; `Busy`.
    pub async fn register(&self, new: NewUser, invitation: Option<&str>, client: Client<'_>) -> Result<User> {
        if invitation.is_none() && !self.config.open_registration {
            let why = "registration is closed here: ask an admin for an invitation";
            return Err(Error::new(ErrorKind::Forbidden, why).with_field("invitation"));
        }
        let Some(invitation) = invitation.map(sha256) else {
            return self.add_user(new, UserRole::User, client.source(), Admission::Open).await;
        };
        // Checked before any hashing, and before the response can reveal which names are taken.
        let open = self.store.invitations(self.clock.now()).await?;
        open.iter().find(|open| open.hash == invitation).ok_or_else(quota::bad_invitation)?;
        self.add_user(new, UserRole::User, client.source(), Admission::Invited(invitation)).await
    }

    /// Returns whether anybody may register without an invitation.
    pub fn has_open_registration(&self) -> bool {
        self.config.open_registration
    }

    /// Creates a user with this role, even if registration is closed.
    ///
    /// # Errors
    /// Those of [`register`](Self::register) except for the invitation.
    pub async fn create_user(&self, new: NewUser, role: UserRole) -> Result<User> {
        self.add_user(new, role, Source::Address(None), Admission::Open).await
    }

    pub(super) async fn add_user(
        &self,
        new: NewUser,
        role: UserRole,
        source: Source,
        admission: Admission,
    ) -> Result<User> {
        check_username(&new.username)?;
        check_email(&new.email)?;
        password::check(&new.password, &new.username, &new.email)?;
        // Hashed before the store is queried, so that the response time does not reveal whether a name is taken.
        let password_hash = self.hash_new(&new.password, (&new.username, &new.email), source).await?;
        let user = User {
            id: UserId::new(),
            username: new.username,
            email: new.email,
            password_hash,
            role,
            disabled: false,
            created_at: self.clock.now(),
            last_login_at: None,
        };
        match admission {
            Admission::Open => self.store.create_user(&user).await?,
            Admission::Invited(hash) => self.store.create_invited_user(&user, &hash).await?,
            Admission::FirstAdmin => self.store.create_first_admin(&user).await?,
        }
        tracing::info!(user_id = %user.id, role = role.as_str(), "user registered");
        Ok(user)
    }
}

fn check_username(username: &str) -> Result<()> {
    let fits = (3..=50).contains(&username.len())
        && username.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits { Ok(()) } else { Err(Error::invalid("username", "expected 3 to 50 of A-Z, a-z, 0-9 and _")) }
}

/// Checks the common form of an e-mail address. ASCII only, so that comparing regardless of case means the same in
/// every store; whether the address exists only sending mail can show.
fn check_email(email: &str) -> Result<()> {
    let fits = email.len() <= MAX_EMAIL
        && email.rsplit_once('@').is_some_and(|(local, domain)| {
            let label = |label: &str| {
                (1..=MAX_DOMAIN_LABEL).contains(&label.len())
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            };
            let atom = |atom: &str| {
                !atom.is_empty()
                    && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
            };
            local.len() <= MAX_EMAIL_LOCAL && local.split('.').all(atom) && domain.split('.').all(label)
        });
    if fits {
        Ok(())
    } else {
        Err(Error::invalid("email", "expected an e-mail address such as ada@example.org"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames() {
        for good in ["abc", "Ada_Lovelace_1815", &"x".repeat(50)] {
            assert!(check_username(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", &"x".repeat(51), "a b", "ada@b", "adä", "ada\n", "a-b"] {
            assert_eq!(check_username(bad).unwrap_err().field(), Some("username"), "{bad}");
        }
    }

    #[test]
    fn emails() {
        for good in ["ada@example.org", "a.b+tag@sub.example-host.org", "root@localhost", "o'neil@x.ie"] {
            assert!(check_email(good).is_ok(), "{good}");
        }
        let long = format!("{}@example.org", "x".repeat(65));
        let longer = format!("a@{}org", "abcdefgh.".repeat(28));
        for bad in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@.org",
            "ada@example..org",
            "a da@example.org",
            "a@b@c.org",
            "ada@exa_mple.org",
            "ada@-example.org",
            "ada.@example.org",
            "ada@example.org\n",
            "adä@example.org",
            &long,
            &longer,
        ] {
            assert_eq!(check_email(bad).unwrap_err().field(), Some("email"), "{bad}");
        }
    }
}
