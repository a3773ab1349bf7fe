//! Rules about network interfaces: the current share of faulty and of dropped packets, and links that go up and down.
//!
//! Counters are judged by their recent increase. Since boot they only show that there once was a problem, which is
//! worth reporting only when there is no history.

use chrono::TimeDelta;
use sutazai_core::domain::{NetworkMetrics, Severity};

use super::bounds::{self, Bounds};
use super::draft::{Draft, Found};
use super::figures::{count, hours, percent};
use super::judged::Judged;
use super::lately::{self, Counter, Share, Verdict};
use super::names::{clean_name, device_argument};
use super::rule::{Facts, Rest, Rule};
use super::trends::{MIN_COUNTER_READINGS, risen, seconds};

/// Faulty packets in percent of all: the node-exporter's well-known alert uses 1 %; five times that is critical.
const ERRORS: Bounds = Bounds::new(1.0, 5.0);
/// Dropped packets in percent of all. Some drops are normal (protocols without a listener), so the bounds are higher.
const DROPS: Bounds = Bounds::new(2.0, 10.0);
/// Minimum number of recent packets for a share to be judged; the next constant is the one since boot.
const MIN_RECENT_PACKETS: f64 = 100.0;
const MIN_PACKETS_SINCE_BOOT: u64 = 1000;
/// Minimum rate of errors and of drops: fewer are no fault on a quiet network, whatever their share. Our choice.
const MIN_ERRORS_PER_SECOND: f64 = 1.0;
const MIN_DROPS_PER_SECOND: f64 = 5.0;
/// Changes of a link within an hour: down and up twice, and twenty times. Our choice.
const LINK_CHANGES: Bounds = Bounds::new(4.0, 40.0);
const LINK_WINDOW: TimeDelta = TimeDelta::hours(1);

const RESENT: &str =
    "Dropped packets usually have to be sent again, which [slows connections down|makes connections slower].";
const DISCARDED: &str =
    "Faulty packets are discarded and usually have to be sent again, which makes connections slower.";
const AGE: &str = "The counters cover the whole time since the start, so the problem may be an old one.";
const NOW: &str = "It goes on now, so connections over this interface are affected at this moment.";
const FLAPS: &str = "Each time the link goes down, connections over it stop or break.";

/// Reports an interface that receives faulty packets.
pub(super) const NETWORK_ERRORS: Rule = Rule {
    name: "network_errors",
    title: "Faulty packets",
    meaning: "Faulty packets among those of the shortest time up to ten minutes with at least 100, if there \
              is one a second or more.",
    conditions: ["over 1 % of at least 1000 since the start, without history", "over 1 %", "over 5 %"],
    source: "node-exporter's alerts take 1 %; the rest is ours",
    judged: &[Judged::percent("host.networks[<interface>].errors_percent", ERRORS.levels_from_info())],
    needs: &["host.networks"],
    check: |facts| each(facts, &NETWORK_ERRORS, "affected by faulty packets", DISCARDED, errors),
};

/// Reports an interface that drops packets.
pub(super) const NETWORK_DROPS: Rule = Rule {
    name: "network_drops",
    title: "Dropped packets",
    meaning: "The same of packets that the interface or its queues dropped, if there are five a second or \
              more.",
    conditions: ["over 2 % of at least 1000 since the start, without history", "over 2 %", "over 10 %"],
    source: "Higher than for errors, since packets of protocols without a listener count too; ours",
    judged: &[Judged::percent("host.networks[<interface>].drops_percent", DROPS.levels_from_info())],
    needs: &["host.networks.drops", "host.networks.queue_drops"],
    check: |facts| each(facts, &NETWORK_DROPS, "dropping packets", RESENT, drops),
};

/// Reports an interface whose link goes up and down.
pub(super) const NETWORK_LINK_CHANGES: Rule = Rule {
    name: "network_link_changes",
    title: "Link going up and down",
    meaning: "The link went up or down within the last hour.",
    conditions: ["", "over 4 times", "over 40 times"],
    source: "Twice down and up again; ours",
    judged: &[Judged::above(
        "host.networks[<interface>].carrier_changes_lately",
        "count",
        LINK_CHANGES.levels(),
    )],
    needs: &["host.networks.carrier_changes"],
    check: |facts| each(facts, &NETWORK_LINK_CHANGES, "going up and down", FLAPS, link_changes),
};

fn each(
    facts: &Facts<'_>,
    rule: &Rule,
    are: &'static str,
    consequence: &'static str,
    judge: fn(&Facts<'_>, &NetworkMetrics) -> Option<Found>,
) -> Vec<Found> {
    let interfaces = facts.snapshot.host.value().into_iter().flat_map(|host| &host.networks);
    let rest = Rest {
        metric: "host.networks",
        things: "interfaces",
        are,
        consequence,
        text: "See the counters of all interfaces.",
        command: "ip -s link",
        advice: "Run {command} to see the counters of all interfaces.",
    };
    rule.worst(interfaces.filter_map(|interface| judge(facts, interface)).collect(), &rest)
}

/// Returns a counter of the interface as its series and its current value.
fn counter(interface: &NetworkMetrics, figure: &str, value: u64) -> Counter {
    (format!("host.networks[{}].{figure}", interface.interface), value as f64)
}

/// Kind of fault of an interface, and the way it is judged.
struct Fault {
    rule: &'static Rule,
    bounds: Bounds,
    min_per_second: f64,
    /// Name of the figure in metric paths.
    figure: &'static str,
    counters: Vec<Counter>,
    /// Computes the total that the share refers to, from packets and faults.
    of: fn(f64, f64) -> f64,
}

/// Period in which a fault was seen.
enum Seen {
    Lately(Share),
    SinceStart { faults: f64, packets: f64 },
}

impl Fault {
    fn find(&self, facts: &Facts<'_>, interface: &NetworkMetrics) -> Option<(Draft, String, Seen)> {
        let packets = counter(interface, "packets", interface.packets);
        match lately::judge(facts, &packets, &self.counters, [MIN_RECENT_PACKETS, 0.0]) {
            Verdict::Lately(share) => {
                let percent = bounds::percent(share.faults, (self.of)(share.events, share.faults));
                let counts = share.lasts && share.per_second() >= self.min_per_second;
                let (severity, bound) = self.bounds.grade(percent).filter(|_| counts)?;
                let (draft, name) = self.draft(severity, interface, percent, bound);
                let path = |figure: &str| format!("host.networks[{name}].{figure}");
                let draft = draft
                    .context(path(&format!("{}_lately", self.figure)), share.faults, "count")
                    .context(path("packets_lately"), share.events, "count")
                    .context(path("observed_hours"), share.hours(), "hours");
                Some((draft, name, Seen::Lately(share)))
            }
            Verdict::Quiet => None,
            Verdict::Unknown if interface.packets >= MIN_PACKETS_SINCE_BOOT => {
                facts.look();
                let (packets, faults) =
                    (interface.packets as f64, self.counters.iter().map(|one| one.1).sum());
                let percent = bounds::percent(faults, (self.of)(packets, faults));
                let (_, bound) = self.bounds.grade(percent)?;
                let (draft, name) = self.draft(Severity::Info, interface, percent, bound);
                let path = |figure: &str| format!("host.networks[{name}].{figure}");
                let draft = draft.context(path(self.figure), faults, "count").context(
                    path("packets"),
                    packets,
                    "count",
                );
                Some((draft, name, Seen::SinceStart { faults, packets }))
            }
            Verdict::Unknown => None,
        }
    }

    fn draft(
        &self,
        severity: Severity,
        interface: &NetworkMetrics,
        percent: f64,
        bound: f64,
    ) -> (Draft, String) {
        let (draft, name) = on(self.rule, severity, interface);
        let path = format!("host.networks[{name}].{}_percent", self.figure);
        (draft.judged(path, percent, "percent", bound), name)
    }
}

fn errors(facts: &Facts<'_>, interface: &NetworkMetrics) -> Option<Found> {
    let fault = Fault {
        rule: &NETWORK_ERRORS,
        bounds: ERRORS,
        min_per_second: MIN_ERRORS_PER_SECOND,
        figure: "errors",
        counters: vec![counter(interface, "errors", interface.errors)],
        of: |packets, _| packets,
    };
    let (draft, name, seen) = fault.find(facts, interface)?;
    const CAUSE: &str = "A damaged cable, a bad port or a faulty driver is the usual cause.";
    let draft = match seen {
        Seen::Lately(share) => {
            let (faults, events, time) = (share.faults, share.events, hours(share.hours()));
            let part = percent(bounds::percent(faults, events));
            draft
                .statements([
                    format!("On interface {name}, {part} of the packets of the last {time} were faulty."),
                    format!(
                        "Interface {name} has had {faults} faulty packets among {events} in {time} ({part})."
                    ),
                ])
                .consequences(&[DISCARDED, CAUSE, NOW])
        }
        Seen::SinceStart { faults, packets } => {
            let part = percent(bounds::percent(faults, packets));
            draft
                .statements([
                    format!(
                        "Interface {name} has counted {faults} faulty packets since the machine was started, {part} of \
                         all packets."
                    ),
                    format!("On interface {name}, {part} of all packets since the start were faulty."),
                ])
                .consequences(&[DISCARDED, CAUSE, AGE])
        }
    };
    let found = counters(draft, interface)
        .remedy("Check the cable, the port of the switch and the driver.")
        .advice("Replace the cable and then the port of the switch, one at a time, and compare the counters.")
        .finish(format!("interface {name} has faulty packets"));
    Some(found)
}

fn drops(facts: &Facts<'_>, interface: &NetworkMetrics) -> Option<Found> {
    let known: Vec<Counter> = [("drops", interface.drops), ("queue_drops", interface.queue_drops)]
        .into_iter()
        .filter_map(|(figure, drops)| Some(counter(interface, figure, drops?)))
        .collect();
    if known.is_empty() {
        return None;
    }
    let fault = Fault {
        rule: &NETWORK_DROPS,
        bounds: DROPS,
        min_per_second: MIN_DROPS_PER_SECOND,
        figure: "drops",
        counters: known,
        // Packets that a queue drops are not included in the packet counter.
        of: |packets, drops| packets + drops,
    };
    let (draft, name, seen) = fault.find(facts, interface)?;
    const CAUSE: &str = "Bursts of traffic, small buffers or a busy processor are the usual causes.";
    let draft = match seen {
        Seen::Lately(share) => {
            let (faults, time) = (share.faults, hours(share.hours()));
            let part = percent(bounds::percent(faults, share.events + faults));
            draft
                .statements([
                    format!("Interface {name} dropped {part} of the packets of the last {time}."),
                    format!("In the last {time}, interface {name} dropped {faults} packets, {part} of all."),
                ])
                .consequences(&[RESENT, CAUSE, NOW])
        }
        Seen::SinceStart { faults, packets } => {
            let part = percent(bounds::percent(faults, packets + faults));
            draft
                .statements([
                    format!(
                        "Interface {name} has dropped {faults} packets since the machine was started, {part} of all \
                         packets."
                    ),
                    format!("On interface {name}, {part} of all packets since the start were dropped."),
                ])
                .consequences(&[RESENT, CAUSE, AGE])
        }
    };
    let found = counters(draft, interface)
        .remedy("Look for bursts of traffic, small receive buffers or a busy processor.")
        .advice("Enlarge the receive buffers of the interface if packets are dropped in bursts.")
        .finish(format!("interface {name} drops packets"));
    Some(found)
}

fn link_changes(facts: &Facts<'_>, interface: &NetworkMetrics) -> Option<Found> {
    let (series, now) = counter(interface, "carrier_changes", interface.carrier_changes?);
    let readings = facts.readings(&series, now);
    let from = readings.partition_point(|(at, _)| facts.snapshot.taken_at - *at > LINK_WINDOW);
    let readings = readings.get(from..)?;
    if readings.len() < MIN_COUNTER_READINGS {
        facts.lack_readings();
        return None;
    }
    facts.look();
    let (first, _) = readings.first()?;
    let (changes, span) = (risen(readings), seconds(facts.snapshot.taken_at - *first) / 3600.0);
    let (severity, bound) = LINK_CHANGES.grade(changes)?;
    let (draft, name) = on(&NETWORK_LINK_CHANGES, severity, interface);
    let path = |figure: &str| format!("host.networks[{name}].{figure}");
    let (times, time) = (count(changes as u64, "time", "times"), hours(span));
    let found = draft
        .judged(path("carrier_changes_lately"), changes, "count", bound)
        .context(path("observed_hours"), span, "hours")
        .statements([
            format!("The link of interface {name} went up or down {times} in the last {time}."),
            format!("In the last {time}, interface {name} lost or regained its link {times}."),
        ])
        .consequences(&[
            FLAPS,
            "A loose cable, a faulty port or a power-saving setting is a usual cause.",
            "Programs that reconnect each time may hide the problem and still be slow.",
        ]);
    let found = counters(found, interface)
        .command(
            "Read what the kernel reported about its links.",
            "journalctl -k --grep 'link' | tail -n 30",
            "Run {command} to see when the links of the interfaces went up and down.",
        )
        .remedy("Check the cable and the port of the switch.")
        .finish(format!("the link of interface {name} goes up and down"));
    Some(found)
}

fn on(rule: &Rule, severity: Severity, interface: &NetworkMetrics) -> (Draft, String) {
    let name = clean_name(&interface.interface);
    (Draft::new(rule, severity, format!("interface {name}")).about(&name), name)
}

fn counters(draft: Draft, interface: &NetworkMetrics) -> Draft {
    let command = device_argument(&interface.interface).map(|name| format!("ip -s link show {name}"));
    draft.command_if(
        "See the counters of the interface.",
        command,
        "Run {command} twice, a minute apart, to see whether the numbers still increase.",
    )
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Info, Warning};
    use sutazai_core::domain::{EarlierValue, Snapshot};

    use super::super::rule::tests::{grade, grade_with};
    use super::super::sample::{healthy, host};
    use super::super::trends::tests::trends;
    use super::*;

    /// Returns a snapshot in which, after a long healthy time, packets and faults occurred within half a second in two
    /// steps.
    fn lately(figure: &str, packets: u64, faults: [u64; 2]) -> Snapshot {
        within(0.5, figure, packets, faults)
    }

    fn within(seconds: f64, figure: &str, packets: u64, faults: [u64; 2]) -> Snapshot {
        let mut snapshot = healthy();
        let machine = host(&mut snapshot);
        let interface = &mut machine.networks[0];
        (interface.packets, interface.errors, interface.drops) = (1_000_000_000, 7, Some(7));
        let earlier = |figure: &str, seconds_ago, value: u64| EarlierValue {
            series: format!("host.networks[eth0].{figure}"),
            seconds_ago,
            value: value as f64,
        };
        for (seconds_ago, share, own) in [(seconds, 0, 0), (seconds / 2.0, 1, faults[0])] {
            machine.earlier.push(earlier("packets", seconds_ago, interface.packets + packets / 2 * share));
            for one in ["errors", "drops", "queue_drops"] {
                machine.earlier.push(earlier(one, seconds_ago, 7 + if one == figure { own } else { 0 }));
            }
        }
        interface.packets += packets;
        let all = 7 + faults[0] + faults[1];
        interface.queue_drops = Some(7);
        match figure {
            "errors" => interface.errors = all,
            "drops" => interface.drops = Some(all),
            _ => interface.queue_drops = Some(all),
        }
        snapshot
    }

    #[test]
    fn packet_shares_are_judged_by_recent_counts() {
        // Of 10,000 packets; those dropped by a queue or an interface are not counted as packets.
        let rules: [(&Rule, &str, u64, [u64; 2]); 3] = [
            (&NETWORK_ERRORS, "errors", 10_000, [100, 500]),
            (&NETWORK_DROPS, "drops", 9_800, [200, 1088]),
            (&NETWORK_DROPS, "queue_drops", 9_800, [200, 1088]),
        ];
        for (rule, figure, packets, [warning, critical]) in rules {
            for (number, expected) in [
                (0, None),
                (warning, None),
                (warning + 1, Some(Warning)),
                (critical, Some(Warning)),
                (critical + 2, Some(Critical)),
            ] {
                let snapshot = lately(figure, packets, [number / 2, number - number / 2]);
                assert_eq!(grade(rule, &snapshot), expected, "{figure} {number}");
            }
        }
    }

    #[test]
    fn unknown_drops_are_not_judged() {
        let judged = |drops, queue_drops| {
            let mut snapshot = healthy();
            let interface = &mut host(&mut snapshot).networks[0];
            (interface.packets, interface.drops, interface.queue_drops) = (1000, drops, queue_drops);
            grade(&NETWORK_DROPS, &snapshot)
        };
        assert_eq!(judged(None, None), None);
        assert_eq!((judged(Some(500), None), judged(None, Some(500))), (Some(Info), Some(Info)));
    }

    #[test]
    fn past_rare_or_single_faults_are_not_reported() {
        for (faults, expected) in [([500, 500], Some(Warning)), ([1000, 0], None), ([0, 1000], None)] {
            assert_eq!(grade(&NETWORK_DROPS, &lately("drops", 10_000, faults)), expected, "{faults:?}");
        }
        // 99 and 100 packets in half a second, most of them dropped.
        for (packets, expected) in [(99, None), (100, Some(Critical))] {
            let snapshot = lately("drops", packets, [30, 30]);
            assert_eq!(grade(&NETWORK_DROPS, &snapshot), expected, "{packets}");
        }
        // The same share is reported at a high packet rate, but not at a few packets a second.
        for (seconds, expected) in [(20.0, Some(Warning)), (20.1, None)] {
            let snapshot = within(seconds, "drops", 2000, [50, 50]);
            assert_eq!(grade(&NETWORK_DROPS, &snapshot), expected, "{seconds}");
        }
    }

    #[tokio::test]
    async fn without_history_counts_since_boot_are_reported() {
        for (packets, drops, expected) in
            [(999, 900, None), (1000, 20, None), (1000, 21, Some(Info)), (10_000, 5000, Some(Info))]
        {
            let mut snapshot = healthy();
            let interface = &mut host(&mut snapshot).networks[0];
            (interface.packets, interface.drops) = (packets, Some(drops));
            assert_eq!(grade(&NETWORK_DROPS, &snapshot), expected, "{packets} {drops}");
            if expected.is_none() {
                continue;
            }
            let found = (NETWORK_DROPS.check)(&Facts::new(&snapshot, &Default::default()));
            assert!(found[0].finding.summary.contains("since the machine was started"), "{found:?}");
            let series = |figure: &str| format!("host.networks[eth0].{figure}");
            let mut history = trends(&snapshot, &series("packets"), &[packets as f64; 3]).await;
            history.join(trends(&snapshot, &series("drops"), &[drops as f64; 3]).await);
            assert_eq!(grade_with(&NETWORK_DROPS, &snapshot, &history), None, "it is over");
        }
    }

    #[tokio::test]
    async fn unstable_link_is_reported() {
        let series = "host.networks[eth0].carrier_changes";
        for (changes, expected) in [(4, None), (5, Some(Warning)), (40, Some(Warning)), (41, Some(Critical))]
        {
            let mut snapshot = healthy();
            host(&mut snapshot).networks[0].carrier_changes = Some(100 + changes);
            let history = trends(&snapshot, series, &[100.0; 3]).await;
            assert_eq!(grade_with(&NETWORK_LINK_CHANGES, &snapshot, &history), expected, "{changes}");
            assert_eq!(grade(&NETWORK_LINK_CHANGES, &snapshot), None, "nobody knows when");
            // Two hours ago.
            let history = [vec![0.0; 12], vec![100.0 + changes as f64; 13]].concat();
            let history = trends(&snapshot, series, &history).await;
            assert_eq!(grade_with(&NETWORK_LINK_CHANGES, &snapshot, &history), None, "long ago");
        }
    }
}
