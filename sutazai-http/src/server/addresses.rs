//! Bounds the connections of each address, so that one peer cannot occupy all connections of the server.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::security::TrustedProxies;

/// Numbers of open connections by address. IPv6 addresses are counted by /64, which is what one customer gets (RFC
/// 6177). Trusted proxies are not counted, because they forward the requests of many clients.
#[derive(Debug)]
pub(super) struct Addresses {
    max: usize,
    proxies: TrustedProxies,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// Counted connection; dropping it releases its place.
#[derive(Debug)]
pub(super) struct ConnectionPermit(Option<(Arc<Addresses>, IpAddr)>);

impl Addresses {
    pub(super) fn new(max: usize, proxies: TrustedProxies) -> Self {
        Self { max, proxies, open: Mutex::default() }
    }

    /// Counts a connection of this peer; `None` when its address has reached the limit.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<ConnectionPermit> {
        if self.proxies.trusts(peer.to_canonical()) {
            return Some(ConnectionPermit(None));
        }
        let address = TrustedProxies::network(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(ConnectionPermit(Some((self.clone(), address))))
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let Some((addresses, address)) = self.0.take() else { return };
        let mut open = addresses.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_limited_by_address_except_for_proxies() {
        let addresses = Arc::new(Addresses::new(2, "10.0.0.1".parse().unwrap()));
        let enter = |peer: &str| addresses.enter(peer.parse().unwrap());
        let mut held: Vec<_> =
            ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8::2"].map(enter).into();
        assert!(held.iter().all(Option::is_some));
        assert!(enter("192.0.2.1").is_none() && enter("2001:db8::3").is_none());
        assert!(enter("192.0.2.2").is_some() && enter("2001:db8:1::1").is_some());
        let proxied: Vec<_> = (0..5).map(|_| enter("10.0.0.1")).collect();
        assert!(proxied.iter().all(Option::is_some));
        held.remove(0);
        assert!(enter("192.0.2.1").is_some());
        drop((held, proxied));
        assert!(addresses.open.lock().unwrap().is_empty(), "an address without connections remained");
    }
}
