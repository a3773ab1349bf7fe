//! Proxies between a node and everything that it is connected to, so that each connection can fail.

use crate::proxy::{Network, Proxy, host_of};

/// Connection of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Database,
    Redis,
    Broker,
    /// Callers of the node, if it is a server.
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

/// Proxies of one node.
pub(crate) struct Links {
    pub(crate) database: Proxy,
    pub(crate) redis: Proxy,
    pub(crate) broker: Proxy,
    pub(crate) callers: Option<Proxy>,
}

impl Links {
    /// Starts proxies in front of these services, and in front of the node if it listens.
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

    /// Makes all connections work again.
    pub(crate) fn heal(&self) {
        for link in [Link::Database, Link::Redis, Link::Broker, Link::Callers] {
            self.set(link, Network::Whole);
        }
    }
}
