//! Network interfaces: `/proc/net/dev` (proc_net(5)), and the values that only netlink provides.

use std::collections::BTreeMap;

use sutazai_core::domain::NetworkMetrics;

use super::links::Link;
use super::per_second;

/// Counters of each interface, by name.
pub(super) type NetworkCounters = BTreeMap<String, Traffic>;

/// Counters of one interface since it came up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Traffic {
    received: u64,
    sent: u64,
    pub(super) packets: u64,
    pub(super) errors: u64,
    pub(super) drops: u64,
    pub(super) link: Link,
}

/// Reads the counters of all interfaces except loopback.
pub(super) fn count(dev: &str, links: &BTreeMap<String, Link>) -> NetworkCounters {
    let interfaces = dev.lines().filter_map(parse).filter(|(name, _)| name != "lo");
    interfaces
        .map(|(name, traffic)| {
            let link = links.get(&name).copied().unwrap_or_default();
            (name, Traffic { link, ..traffic })
        })
        .collect()
}

/// Computes the traffic between two readings; an interface that is missing in the first one is left out.
pub(super) fn rates(before: &NetworkCounters, now: &NetworkCounters, seconds: f64) -> Vec<NetworkMetrics> {
    let interface = |(name, now): (&String, &Traffic)| {
        let before = before.get(name)?;
        Some(NetworkMetrics {
            interface: name.clone(),
            received_bytes_per_second: per_second(before.received, now.received, seconds),
            sent_bytes_per_second: per_second(before.sent, now.sent, seconds),
            packets: now.packets,
            errors: now.errors,
            drops: Some(now.drops),
            queue_drops: now.link.queue_drops,
            carrier_changes: now.link.carrier_changes,
        })
    };
    now.iter().filter_map(interface).collect()
}

fn parse(line: &str) -> Option<(String, Traffic)> {
    let (name, numbers) = line.split_once(':')?;
    let numbers: Vec<u64> = numbers.split_whitespace().map_while(|number| number.parse().ok()).collect();
    let [received, packets_in, errors_in, drops_in, _, _, _, _, sent, packets_out, errors_out, drops_out] =
        *numbers.first_chunk()?;
    let traffic = Traffic {
        received,
        sent,
        packets: packets_in + packets_out,
        errors: errors_in + errors_out,
        drops: drops_in + drops_out,
        link: Link::default(),
    };
    Some((name.trim().to_owned(), traffic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_computed_and_faults_are_summed() {
        let head = "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop fifo|bytes\n";
        let before = format!(
            "{head}    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  eth0:1000 10 1 2 0 0 0 0 500 5 3 4 0 0 0 0\n"
        );
        let now = format!(
            "{head}  eth0: 3000 20 1 2 0 0 0 0 700 9 3 5 0 0 0 0\n  tun0: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n"
        );
        let link = Link { carrier_changes: Some(3), queue_drops: Some(8) };
        let links = BTreeMap::from([("eth0".to_owned(), link)]);
        let (before, now) = (count(&before, &BTreeMap::new()), count(&now, &links));
        let networks = rates(&before, &now, 2.0);
        assert_eq!(networks.len(), 1, "{networks:?}");
        let eth0 = &networks[0];
        assert_eq!((eth0.received_bytes_per_second, eth0.sent_bytes_per_second), (1000.0, 100.0));
        assert_eq!((eth0.packets, eth0.errors, eth0.drops), (29, 4, Some(7)));
        assert_eq!((eth0.queue_drops, eth0.carrier_changes), (Some(8), Some(3)));
    }
}
