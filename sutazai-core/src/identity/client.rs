//! Client from which somebody signs in or registers.

use std::net::IpAddr;

use crate::identity::hash_queue::Source;

/// Client from which somebody signs in or registers, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Client<'a> {
    /// User agent that the client sent.
    pub user_agent: Option<&'a str>,
    /// Address of the client as rate limits count it: one IPv4 address, or one IPv6 network.
    pub address: Option<IpAddr>,
}

impl<'a> From<Option<&'a str>> for Client<'a> {
    /// Creates a client with this user agent and an unknown address.
    fn from(user_agent: Option<&'a str>) -> Self {
        Self { user_agent, address: None }
    }
}

impl Client<'_> {
    /// Returns the source whose hash queue the client's passwords wait in.
    pub(super) fn source(&self) -> Source {
        Source::Address(self.address)
    }
}
