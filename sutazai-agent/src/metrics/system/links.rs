//! Values that `/proc/net/dev` lacks: packets dropped by queues, and carrier changes of a link (rtnetlink(7)).

use std::collections::{BTreeMap, HashMap};

use super::super::missing::Missing;
use super::netlink::{attributes, dump, u32_at};

const RTM_GETLINK: u16 = 18;
const RTM_GETQDISC: u16 = 38;
/// Lengths of `struct ifinfomsg` and `struct tcmsg` in bytes.
const LINK_HEADER: usize = 16;
const QUEUE_HEADER: usize = 20;
const IFLA_IFNAME: u16 = 3;
const IFLA_CARRIER_CHANGES: u16 = 35;
const TCA_STATS2: u16 = 7;
const TCA_STATS_QUEUE: u16 = 3;
/// Parents of the outermost outgoing and incoming queues, which also count the drops of all queues below them.
const TC_H_ROOT: u32 = 0xffff_ffff;
const TC_H_INGRESS: u32 = 0xffff_fff1;

const QUEUE_DROPS: &str = "host.networks.queue_drops";

/// Values of one interface.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Link {
    /// Number of carrier changes since the interface was created.
    pub(super) carrier_changes: Option<u64>,
    /// Number of packets that its queues dropped.
    pub(super) queue_drops: Option<u64>,
}

/// Returns every interface of this network namespace by name; none if the kernel does not answer.
pub(super) fn read(missing: &mut Missing) -> BTreeMap<String, Link> {
    let mut links: HashMap<u32, (String, Link)> = HashMap::new();
    let answered = dump(None, RTM_GETLINK, &[0; LINK_HEADER], |message| {
        if let Some((index, name, link)) = link(message) {
            links.insert(index, (name, link));
        }
    });
    if let Err(e) = answered {
        let reason = format!("the interfaces cannot be listed (rtnetlink): {e}");
        missing.add(&["host.networks.carrier_changes", QUEUE_DROPS], reason);
        return BTreeMap::new();
    }
    // Without an answer the drops stay unknown; with one, an interface without queues has dropped nothing.
    let mut drops: HashMap<u32, u64> = HashMap::new();
    let answered = dump(None, RTM_GETQDISC, &[0; QUEUE_HEADER], |message| {
        if let Some((index, dropped)) = queue(message) {
            *drops.entry(index).or_default() += dropped;
        }
    });
    match answered {
        Ok(()) => {
            for (index, (_, link)) in &mut links {
                link.queue_drops = Some(drops.get(index).copied().unwrap_or(0));
            }
        }
        Err(e) => missing.add(&[QUEUE_DROPS], format!("the queues cannot be listed (rtnetlink): {e}")),
    }
    links.into_values().collect()
}

fn link(message: &[u8]) -> Option<(u32, String, Link)> {
    let index = u32_at(message, 4)?;
    let attributes = attributes(message.get(LINK_HEADER..)?);
    let value = |wanted| attributes.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value);
    let name = value(IFLA_IFNAME)?.split(|byte| *byte == 0).next()?;
    let carrier_changes = value(IFLA_CARRIER_CHANGES).and_then(|value| u32_at(value, 0)).map(u64::from);
    Some((index, String::from_utf8_lossy(name).into_owned(), Link { carrier_changes, queue_drops: None }))
}

/// Parses the interface and the drops of an outermost queue.
fn queue(message: &[u8]) -> Option<(u32, u64)> {
    let (index, parent) = (u32_at(message, 4)?, u32_at(message, 12)?);
    if ![TC_H_ROOT, TC_H_INGRESS].contains(&parent) {
        return None;
    }
    let outer = attributes(message.get(QUEUE_HEADER..)?);
    let (_, statistics) = outer.iter().find(|(kind, _)| *kind == TCA_STATS2)?;
    let inner = attributes(statistics);
    let (_, queue) = inner.iter().find(|(kind, _)| *kind == TCA_STATS_QUEUE)?;
    // `struct gnet_stats_queue`: qlen, backlog, drops, requeues, overlimits.
    Some((index, u64::from(u32_at(queue, 8)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_listed_without_queue_drops() {
        let links = read(&mut Missing::default());
        let loopback = links.get("lo").expect("no loopback");
        assert_eq!(loopback.queue_drops, Some(0), "{links:?}");
    }

    #[test]
    fn only_outermost_queues_are_counted() {
        let message = |parent: u32| {
            let mut message = vec![0; QUEUE_HEADER];
            message[4..8].copy_from_slice(&7_u32.to_ne_bytes());
            message[12..16].copy_from_slice(&parent.to_ne_bytes());
            let queue = [0_u32, 0, 42, 0, 0].map(u32::to_ne_bytes).concat();
            let inner = [&24_u16.to_ne_bytes()[..], &TCA_STATS_QUEUE.to_ne_bytes(), &queue].concat();
            message.extend([&28_u16.to_ne_bytes()[..], &TCA_STATS2.to_ne_bytes(), &inner].concat());
            message
        };
        assert_eq!(queue(&message(TC_H_ROOT)), Some((7, 42)));
        assert_eq!(queue(&message(TC_H_INGRESS)), Some((7, 42)));
        assert_eq!(queue(&message(0x8001_0001)), None, "its parent counts it");
        assert_eq!(queue(&message(TC_H_ROOT)[..30]), None);
    }
}
