//! Registration of new users.

use std::fmt;

use serde::Deserialize;
use sutazai_core::domain::NewUser;
use utoipa::ToSchema;

/// Request to create a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Register {
    #[schema(min_length = 3, max_length = 50, pattern = "^[A-Za-z0-9_]{3,50}$", example = "ada")]
    username: String,
    #[schema(max_length = 254, example = "ada@example.org")]
    email: String,
    /// Must not be easy to guess, nor be the username or the e-mail address. The error names its strength, 0 to 4.
    #[schema(min_length = 8, example = "correct horse battery")]
    password: String,
    /// Invitation of an admin; required while registration is closed.
    invitation: Option<String>,
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Register")
    }
}

impl Register {
    /// Splits the request into the new user and the invitation.
    pub(crate) fn split(self) -> (NewUser, Option<String>) {
        let Self { username, email, password, invitation } = self;
        (NewUser { username, email, password }, invitation)
    }
}
