//! Authentication and the caller's own account: sign-in, tokens, sessions, API keys and stream tickets.

pub(crate) mod api_keys;
pub(crate) mod login;
pub(crate) mod me;
pub(crate) mod password;
pub(crate) mod refresh;
pub(crate) mod register;
pub(crate) mod sessions;
pub(crate) mod ticket;
