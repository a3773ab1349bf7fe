//! The program that somebody signs in or registers with.

use std::net::IpAddr;

use crate::identity::hash_queue::Source;

/// The program that somebody signs in or registers with, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Client<'a> {
    /// What it calls itself.
    pub user_agent: Option<&'a str>,
    /// Where it is, as it is counted: one address, or one network of IPv6.
    pub address: Option<IpAddr>,
}

impl<'a> From<Option<&'a str>> for Client<'a> {
    /// One of this name, wherever it is.
    fn from(user_agent: Option<&'a str>) -> Self {
        Self { user_agent, address: None }
    }
}

impl Client<'_> {
    /// Whose queue its passwords wait in.
    pub(super) fn source(&self) -> Source {
        Source::Address(self.address)
    }
}
