//! First run: a one-time code with which whoever started the server creates its first admin.
//!
//! The code is kept in the memory of the process that printed it, as a hash. A code in the database would outlive the
//! terminal that showed it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use data_encoding::BASE32_NOPAD;
use rand::RngCore;

use crate::domain::{NewUser, User, UserRole, quota};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::register::Admission;
use crate::identity::secret::sha256;
use crate::identity::{Client, Identity};

/// Size of a code in bytes: 128 random bits, 26 characters that can be typed from a screen.
const CODE_BYTES: usize = 16;
/// Key of the failure counter of all codes; no login hashes to it.
const ACCOUNT: &str = "setup";

/// Code of the first run, and what is known about admins.
#[derive(Default)]
pub(super) struct Setup {
    /// SHA-256 of the code. Hashes are compared, so the duration says nothing about the code.
    code: Mutex<Option<String>>,
    /// Set once an admin was seen; the last admin cannot be removed, so it stays true.
    has_admin: AtomicBool,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("has_admin", &self.has_admin).finish_non_exhaustive()
    }
}

impl Identity {
    /// Creates a one-time code for [`create_first_admin`](Self::create_first_admin), which replaces an earlier one of this
    /// process; `None` if there is an admin. The code is valid until there is one, or until the process ends.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn begin_setup(&self) -> Result<Option<String>> {
        if !self.needs_admin().await? {
            return Ok(None);
        }
        let mut secret = [0; CODE_BYTES];
        rand::rng().fill_bytes(&mut secret);
        let code = BASE32_NOPAD.encode(&secret).to_ascii_lowercase();
        *self.setup.code.lock().unwrap_or_else(PoisonError::into_inner) = Some(sha256(&code));
        Ok(Some(code))
    }

    /// Returns whether there is no admin yet.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn needs_admin(&self) -> Result<bool> {
        if !self.setup.has_admin.load(Ordering::Relaxed) && self.store.has_admin().await? {
            self.setup.has_admin.store(true, Ordering::Relaxed);
        }
        Ok(!self.setup.has_admin.load(Ordering::Relaxed))
    }

    /// Creates the first admin, for a caller who has the code of [`begin_setup`](Self::begin_setup). Wrong codes are
    /// delayed like wrong passwords.
    ///
    /// # Errors
    /// `Conflict` without a field if there is an admin; `Forbidden` naming `code` if it is wrong; `RateLimited` after too
    /// many wrong ones; those of [`register`](Self::register) about the fields of a user.
    pub async fn create_first_admin(&self, code: &str, new: NewUser, client: Client<'_>) -> Result<User> {
        if !self.needs_admin().await? {
            return Err(quota::has_admin());
        }
        self.slow_down(ACCOUNT, client.address).await?;
        let expected = self.setup.code.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if expected.is_none_or(|expected| expected != sha256(code)) {
            self.throttle.failed(ACCOUNT, self.clock.now());
            tracing::warn!("setup code rejected");
            let why = "the setup code is wrong: expected the one that the server printed when it started";
            return Err(Error::new(ErrorKind::Forbidden, why).with_field("code"));
        }
        // The store compares once more: another server, or a concurrent call, may have created one by now.
        let admin = self.add_user(new, UserRole::Admin, client.source(), Admission::FirstAdmin).await?;
        self.setup.has_admin.store(true, Ordering::Relaxed);
        *self.setup.code.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(admin)
    }
}
