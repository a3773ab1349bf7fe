//! Rules of network interfaces: the share of packets that came to harm since boot.

use sutazai_core::domain::NetworkMetrics;

use super::bounds::{self, Bounds};
use super::draft::{Draft, Found};
use super::figures::percent;
use super::names::{clean_name, device_argument};
use super::rule::{Facts, Rest, Rule};

/// Faulty packets in percent of all: the node-exporter's well-known alert has 1 %; five times that is an emergency.
const ERRORS: Bounds = Bounds::new(1.0, 5.0);
/// Dropped packets in percent of all. Some drops are normal (protocols nobody listens for), so the bounds are higher.
const DROPS: Bounds = Bounds::new(2.0, 10.0);
/// From so many packets on a share says something.
const LEAST_PACKETS: u64 = 1000;

/// An interface sees faulty packets.
pub(super) const NETWORK_ERRORS: Rule = Rule {
    name: "network_errors",
    meaning: "An interface sends or receives faulty packets, often because of a cable, a port or a driver.",
    check: |facts| each(facts, &NETWORK_ERRORS, "seeing faulty packets", errors),
};

/// An interface drops packets.
pub(super) const NETWORK_DROPS: Rule = Rule {
    name: "network_drops",
    meaning: "An interface throws packets away, so they have to be sent again or are lost.",
    check: |facts| each(facts, &NETWORK_DROPS, "dropping packets", drops),
};

fn each(
    facts: &Facts<'_>,
    rule: &Rule,
    are: &'static str,
    judge: fn(&NetworkMetrics) -> Option<Found>,
) -> Vec<Found> {
    let interfaces = facts.snapshot.host.value().into_iter().flat_map(|host| &host.networks);
    let enough = interfaces.filter(|interface| interface.packets >= LEAST_PACKETS);
    let rest = Rest {
        metric: "host.networks",
        things: "interfaces",
        are,
        text: "See the counters of all interfaces.",
        command: "ip -s link",
    };
    rule.worst(enough.filter_map(judge).collect(), &rest)
}

fn errors(interface: &NetworkMetrics) -> Option<Found> {
    let share = bounds::percent(interface.errors as f64, interface.packets as f64);
    let (draft, name) = on(&NETWORK_ERRORS, ERRORS, interface, "errors", interface.errors, share)?;
    let draft = draft.advice("Check the cable, the port of the switch and the driver.");
    Some(draft.says(format!(
        "Interface {name} saw {} faulty packets since boot, {} of all.",
        interface.errors,
        percent(share)
    )))
}

fn drops(interface: &NetworkMetrics) -> Option<Found> {
    let share = bounds::percent(interface.drops as f64, interface.packets as f64);
    let (draft, name) = on(&NETWORK_DROPS, DROPS, interface, "drops", interface.drops, share)?;
    let draft = draft.advice("Look for bursts of traffic, small receive buffers or a busy processor.");
    Some(draft.says(format!(
        "Interface {name} dropped {} packets since boot, {} of all.",
        interface.drops,
        percent(share)
    )))
}

fn on(
    rule: &Rule,
    bounds: Bounds,
    interface: &NetworkMetrics,
    figure: &str,
    number: u64,
    share: f64,
) -> Option<(Draft, String)> {
    let (severity, bound) = bounds.grade(share)?;
    let name = clean_name(&interface.interface);
    let path = |figure: &str| format!("host.networks[{name}].{figure}");
    let counters = device_argument(&interface.interface).map(|name| format!("ip -s link show {name}"));
    let draft = Draft::new(rule, severity, format!("interface {name}"))
        .about(&name)
        .judged(path(&format!("{figure}_percent")), share, "percent", bound)
        .context(path(figure), number as f64, "count")
        .context(path("packets"), interface.packets as f64, "count")
        .command_if("See the counters of the interface.", counters);
    Some((draft, name))
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Warning};

    use super::super::rule::tests::grade;
    use super::super::sample::{healthy, host};
    use super::*;

    #[test]
    fn shares_of_packets_have_their_bounds() {
        type Set = fn(&mut NetworkMetrics, u64);
        let rules: [(&Rule, Set, [u64; 2]); 2] = [
            (&NETWORK_ERRORS, |one, n| one.errors = n, [100, 500]),
            (&NETWORK_DROPS, |one, n| one.drops = n, [200, 1000]),
        ];
        for (rule, set, [warning, critical]) in rules {
            for (number, expected) in [
                (0, None),
                (warning, None),
                (warning + 1, Some(Warning)),
                (critical, Some(Warning)),
                (critical + 1, Some(Critical)),
            ] {
                let mut snapshot = healthy();
                let interface = &mut host(&mut snapshot).networks[0];
                interface.packets = 10_000;
                set(interface, number);
                assert_eq!(grade(rule, &snapshot), expected, "{} {number}", rule.name);
            }
        }
    }

    #[test]
    fn few_packets_say_nothing() {
        for (packets, expected) in [(0, None), (999, None), (1000, Some(Critical))] {
            let mut snapshot = healthy();
            let interface = &mut host(&mut snapshot).networks[0];
            (interface.packets, interface.errors) = (packets, 900);
            assert_eq!(grade(&NETWORK_ERRORS, &snapshot), expected, "{packets}");
        }
    }
}
