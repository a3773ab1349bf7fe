//! What stands between a node and everything that it talks with: a proxy each, so that any of it can be cut.

use crate::proxy::{Network, Proxy, host_of};

/// What a node talks with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Database,
    Redis,
    Broker,
    /// Those who call it: only servers have some.
    Callers,
}

impl Link {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Database => "the database",
            Self::Redis => "Redis",
            Self::Broker => "RabbitMQ",
            Self::Callers => "its callers",
        }
    }
}

/// The proxies of one node.
pub(crate) struct Links {
    pub(crate) database: Proxy,
    pub(crate) redis: Proxy,
    pub(crate) broker: Proxy,
    pub(crate) callers: Option<Proxy>,
}

impl Links {
    /// To services at these addresses, and before a server that listens there.
    pub(crate) async fn to(database: &str, redis: &str, broker: &str, listen: Option<&str>) -> Self {
        let callers = match listen {
            Some(listen) => Some(Proxy::before(listen).await),
            None => None,
        };
        Self {
            database: Proxy::before(host_of(database)).await,
            redis: Proxy::before(host_of(redis)).await,
            broker: Proxy::before(host_of(broker)).await,
            callers,
        }
    }

    pub(crate) fn set(&self, link: Link, network: Network) {
        let proxy = match link {
            Link::Database => Some(&self.database),
            Link::Redis => Some(&self.redis),
            Link::Broker => Some(&self.broker),
            Link::Callers => self.callers.as_ref(),
        };
        if let Some(proxy) = proxy {
            proxy.set(network);
        }
    }

    /// Makes all of them whole again.
    pub(crate) fn heal(&self) {
        for link in [Link::Database, Link::Redis, Link::Broker, Link::Callers] {
            self.set(link, Network::Whole);
        }
    }
}
