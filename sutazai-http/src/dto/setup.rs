//! First run of a server.

use std::fmt;

use serde::{Deserialize, Serialize};
use sutazai_core::domain::NewUser;
use utoipa::ToSchema;

/// State of the first run.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Setup)]
pub(crate) struct SetupView {
    /// True if callers sign in on this server.
    pub(crate) users: bool,
    /// True while the server has no admin.
    pub(crate) needs_admin: bool,
    /// True if anybody may register without an invitation.
    pub(crate) open_registration: bool,
}

/// Request to create the first admin.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirstAdmin {
    /// Setup code that the server printed when it started.
    #[schema(example = "mfrggzdfmztwq2lknnwg23tpoa")]
    code: String,
    #[schema(min_length = 3, max_length = 50, pattern = "^[A-Za-z0-9_]{3,50}$", example = "ada")]
    username: String,
    #[schema(max_length = 254, example = "ada@example.org")]
    email: String,
    /// Must not be easy to guess, nor be the username or the e-mail address.
    #[schema(min_length = 8, example = "correct horse battery")]
    password: String,
}

impl fmt::Debug for FirstAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FirstAdmin")
    }
}

impl FirstAdmin {
    /// Splits the request into the code and the new admin.
    pub(crate) fn split(self) -> (String, NewUser) {
        let Self { code, username, email, password } = self;
        (code, NewUser { username, email, password })
    }
}
