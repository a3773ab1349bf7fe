//! Rules of network interfaces: the share of faulty and of dropped packets since boot.

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
/// Below this number of packets, a share is not judged.
const LEAST_PACKETS: u64 = 1000;

const RESENT: &str =
    "Dropped packets usually have to be sent again, which [slows connections down|makes connections slower].";
const DISCARDED: &str =
    "Faulty packets are discarded and usually have to be sent again, which makes connections slower.";
const AGE: &str = "The counters cover the whole time since boot, so the problem may be an old one.";

/// An interface sees faulty packets.
pub(super) const NETWORK_ERRORS: Rule = Rule {
    name: "network_errors",
    check: |facts| each(facts, &NETWORK_ERRORS, "affected by faulty packets", DISCARDED, errors),
};

/// An interface drops packets.
pub(super) const NETWORK_DROPS: Rule = Rule {
    name: "network_drops",
    check: |facts| each(facts, &NETWORK_DROPS, "dropping packets", RESENT, drops),
};

fn each(
    facts: &Facts<'_>,
    rule: &Rule,
    are: &'static str,
    consequence: &'static str,
    judge: fn(&NetworkMetrics) -> Option<Found>,
) -> Vec<Found> {
    let interfaces = facts.snapshot.host.value().into_iter().flat_map(|host| &host.networks);
    let enough = interfaces.filter(|interface| interface.packets >= LEAST_PACKETS);
    let rest = Rest {
        metric: "host.networks",
        things: "interfaces",
        are,
        consequence,
        text: "See the counters of all interfaces.",
        command: "ip -s link",
        advice: "Run {command} to see the counters of all interfaces.",
    };
    rule.worst(enough.filter_map(judge).collect(), &rest)
}

fn errors(interface: &NetworkMetrics) -> Option<Found> {
    let share = bounds::percent(interface.errors as f64, interface.packets as f64);
    let (draft, name) = on(&NETWORK_ERRORS, ERRORS, interface, "errors", interface.errors, share)?;
    let (errors, packets, share) = (interface.errors, interface.packets, percent(share));
    let found = draft
        .statements([
            format!(
                "Interface {name} has counted {errors} faulty packets since boot, {share} of all packets."
            ),
            format!("On interface {name}, {share} of all packets since boot were faulty."),
            format!("Interface {name} has had {errors} faulty packets among {packets} since boot ({share})."),
        ])
        .consequences(&[DISCARDED, "A damaged cable, a bad port or a faulty driver is the usual cause.", AGE])
        .remedy("Check the cable, the port of the switch and the driver.")
        .advice("Replace the cable and then the port of the switch, one at a time, and compare the counters.")
        .finish(format!("interface {name} has faulty packets"));
    Some(found)
}

fn drops(interface: &NetworkMetrics) -> Option<Found> {
    let share = bounds::percent(interface.drops as f64, interface.packets as f64);
    let (draft, name) = on(&NETWORK_DROPS, DROPS, interface, "drops", interface.drops, share)?;
    let (drops, packets, share) = (interface.drops, interface.packets, percent(share));
    let found = draft
        .statements([
            format!("Interface {name} has dropped {drops} packets since boot, {share} of all packets."),
            format!("On interface {name}, {share} of all packets since boot were dropped."),
            format!("Interface {name} has dropped {drops} of {packets} packets since boot ({share})."),
        ])
        .consequences(&[
            RESENT,
            "Bursts of traffic, small buffers or a busy processor are the usual causes.",
            AGE,
        ])
        .remedy("Look for bursts of traffic, small receive buffers or a busy processor.")
        .advice("Enlarge the receive buffers of the interface if packets are dropped in bursts.")
        .finish(format!("interface {name} drops packets"));
    Some(found)
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
        .command_if(
            "See the counters of the interface.",
            counters,
            "Run {command} twice, a minute apart, to see whether the numbers still increase.",
        );
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
