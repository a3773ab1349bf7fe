//! Rules about TCP: retransmitted segments, and connections that find the accept queue of their listener full.

use chrono::TimeDelta;
use sutazai_core::domain::{Severity, TcpMetrics};

use super::bounds::{self, Bounds};
use super::draft::{Draft, Found};
use super::figures::{count, hours, percent};
use super::judged::Judged;
use super::lately::{self, Verdict};
use super::rule::{Facts, Rule};
use super::trends::{MIN_COUNTER_READINGS, risen, seconds};

/// Retransmitted segments in percent of all: one or two are normal on the internet; our choice.
const RETRANSMITTED: Bounds = Bounds::new(5.0, 20.0);
/// Minimum number of recent segments and rate of retransmissions for the share to be judged; less comes from a single
/// connection.
const MIN_RECENT_SEGMENTS: f64 = 50.0;
const MIN_PER_SECOND: f64 = 1.0;
/// Connections refused within [`RECENT_WINDOW`]. Each is a client that waits or gives up; our choice.
const OVERFLOWS: Bounds = Bounds::new(0.0, 100.0);
const RECENT_WINDOW: TimeDelta = TimeDelta::minutes(10);

const CONNECTIONS: (&str, &str, &str) = (
    "See the connections with the most repeated segments.",
    "ss -tin | grep -B 1 retrans | head -n 40",
    "Run {command} to see which connections send segments again, and to which addresses they go.",
);
const LISTENERS: (&str, &str, &str) = (
    "See the queues of all listening ports.",
    "ss -ltn",
    "Run {command} and compare the second and the third column: a port whose values are equal has a full queue.",
);

/// Reports that many segments are retransmitted.
pub(super) const TCP_RETRANSMISSIONS: Rule = Rule {
    name: "tcp_retransmissions",
    title: "TCP retransmissions",
    meaning: "Segments sent again, among those of the shortest time up to ten minutes with at least 50, if \
              there is one a second or more.",
    conditions: ["", "over 5 %", "over 20 %"],
    source: "One or two percent are normal on the internet; ours",
    judged: &[Judged::percent("host.tcp.retransmitted_percent", RETRANSMITTED.levels())],
    needs: &["host.tcp.segments_sent", "host.tcp.retransmitted"],
    check: |facts| Vec::from_iter(tcp(facts).and_then(|tcp| retransmissions(facts, tcp))),
};

/// Reports that the kernel refuses connections because no program accepts them in time.
pub(super) const LISTEN_OVERFLOWS: Rule = Rule {
    name: "listen_overflows",
    title: "Connections turned away",
    meaning: "Connections were turned away at a full queue in the last ten minutes.",
    conditions: ["", "any", "over 100"],
    source: "Each is a client that waits or gives up; ours",
    judged: &[Judged::above("host.tcp.listen_overflows_lately", "count", OVERFLOWS.levels())],
    needs: &["host.tcp.listen_overflows"],
    check: |facts| Vec::from_iter(tcp(facts).and_then(|tcp| overflows(facts, tcp))),
};

fn tcp<'a>(facts: &Facts<'a>) -> Option<&'a TcpMetrics> {
    facts.snapshot.host.value()?.tcp.as_ref()
}

fn retransmissions(facts: &Facts<'_>, tcp: &TcpMetrics) -> Option<Found> {
    let sent = ("host.tcp.segments_sent".to_owned(), tcp.segments_sent? as f64);
    let again = ("host.tcp.retransmitted".to_owned(), tcp.retransmitted? as f64);
    let Verdict::Lately(share) = lately::judge(facts, &sent, &[again], [MIN_RECENT_SEGMENTS, 0.0]) else {
        return None;
    };
    let part = bounds::percent(share.faults, share.events + share.faults);
    let counts = share.lasts && share.per_second() >= MIN_PER_SECOND;
    let (severity, bound) = RETRANSMITTED.grade(part).filter(|_| counts)?;
    let (again, time, part_text) = (share.faults, hours(share.hours()), percent(part));
    let found = Draft::new(&TCP_RETRANSMISSIONS, severity, "TCP connections")
        .judged("host.tcp.retransmitted_percent", part, "percent", bound)
        .context("host.tcp.retransmitted_lately", again, "count")
        .context("host.tcp.segments_lately", share.events, "count")
        .context("host.tcp.observed_hours", share.hours(), "hours")
        .statements([
            format!("TCP connections sent {part_text} of their segments again in the last {time}."),
            format!(
                "In the last {time}, TCP connections had to repeat {again} segments, {part_text} of all."
            ),
        ])
        .consequences(&[
            "Each segment that is sent again delays its connection.",
            "Packets are lost on the way, or the other side is too busy to confirm them.",
            "Requests over the network [take longer|become slower] and may run into their time limits.",
        ])
        .command(CONNECTIONS.0, CONNECTIONS.1, CONNECTIONS.2)
        .command(
            "See the counters of all interfaces.",
            "ip -s link",
            "Run {command} twice to see whether an interface of this machine counts errors or drops.",
        )
        .remedy("Check the network between this machine and the addresses that these connections go to.")
        .advice("Check whether the other side is overloaded if only one address is affected.")
        .finish("segments of TCP connections are sent again");
    Some(found)
}

fn overflows(facts: &Facts<'_>, tcp: &TcpMetrics) -> Option<Found> {
    let now = tcp.listen_overflows? as f64;
    let readings = facts.readings("host.tcp.listen_overflows", now);
    let from = readings.partition_point(|(at, _)| facts.snapshot.taken_at - *at > RECENT_WINDOW);
    let readings = readings.get(from..)?;
    if readings.len() < MIN_COUNTER_READINGS {
        facts.lack_readings();
        return None;
    }
    facts.look();
    let (first, _) = readings.first()?;
    let (refused, span) = (risen(readings), seconds(facts.snapshot.taken_at - *first) / 3600.0);
    let (severity, bound) = OVERFLOWS.grade(refused)?;
    let (connections, time) = (count(refused as u64, "connection", "connections"), hours(span));
    let found = Draft::new(&LISTEN_OVERFLOWS, severity, "listening ports")
        .judged("host.tcp.listen_overflows_lately", refused, "count", bound)
        .context("host.tcp.observed_hours", span, "hours")
        .statements([
            format!("In the last {time}, listening ports turned away {connections} because their queues were full."),
            format!("The kernel turned away {connections} in the last {time}, as queues of listening ports were full."),
        ])
        .consequences(&[
            "Clients wait and try again, or report that the service does not answer.",
            "A service that is busy or hangs does not accept its connections in time.",
            "A queue that is too small overflows in bursts, even if the service keeps up on average.",
        ])
        .command(LISTENERS.0, LISTENERS.1, LISTENERS.2)
        .command(
            "See the longest queue that the kernel allows.",
            "cat /proc/sys/net/core/somaxconn",
            "Run {command} to see the longest queue that the kernel allows, whatever a service asks for.",
        )
        .remedy("Check whether the service behind a full queue is overloaded or hangs.")
        .advice("Raise the backlog in the settings of the service if it keeps up and only bursts are turned away.")
        .finish("listening ports turn connections away");
    Some(found)
}

/// Returns whether connections were refused recently. It reads a copy of the facts, because what it looks at does not
/// count for the rule that asks.
pub(super) fn overflows_now(facts: &Facts<'_>) -> bool {
    tcp(facts)
        .and_then(|tcp| overflows(&facts.clone(), tcp))
        .is_some_and(|found| found.finding.severity >= Severity::Warning)
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::EarlierValue;
    use sutazai_core::domain::Severity::{Critical, Warning};
    use sutazai_core::domain::Snapshot;

    use super::super::rule::tests::{grade, grade_with};
    use super::super::sample::{healthy, host};
    use super::super::trends::tests::trends;
    use super::*;

    /// Returns a snapshot with segments, and retransmitted segments in two steps, within half a second.
    fn sent(segments: u64, again: [u64; 2]) -> Snapshot {
        let mut snapshot = healthy();
        let machine = host(&mut snapshot);
        for (seconds_ago, half, repeated) in [(0.5, 0, 0), (0.25, segments / 2, again[0])] {
            for (figure, value) in [("segments_sent", 1_000_000 + half), ("retransmitted", 50 + repeated)] {
                let series = format!("host.tcp.{figure}");
                machine.earlier.push(EarlierValue { series, seconds_ago, value: value as f64 });
            }
        }
        machine.tcp = Some(TcpMetrics {
            segments_sent: Some(1_000_000 + segments),
            retransmitted: Some(50 + again[0] + again[1]),
            listen_overflows: Some(0),
        });
        snapshot
    }

    #[test]
    fn share_of_retransmitted_segments_is_graded_by_bounds() {
        for (again, expected) in [
            ([0, 0], None),
            ([250, 250], None),
            ([250, 251], Some(Warning)),
            ([1187, 1187], Some(Warning)),
            ([1188, 1190], Some(Critical)),
            ([2000, 0], None),
            ([0, 2000], None),
        ] {
            assert_eq!(grade(&TCP_RETRANSMISSIONS, &sent(9500, again)), expected, "{again:?}");
        }
        for (segments, expected) in [(48, None), (50, Some(Critical))] {
            assert_eq!(grade(&TCP_RETRANSMISSIONS, &sent(segments, [20, 20])), expected, "{segments}");
        }
    }

    #[tokio::test]
    async fn recently_refused_connections_are_reported() {
        let series = "host.tcp.listen_overflows";
        for (refused, expected) in
            [(0, None), (1, Some(Warning)), (100, Some(Warning)), (101, Some(Critical))]
        {
            let mut snapshot = healthy();
            host(&mut snapshot).tcp = Some(TcpMetrics {
                segments_sent: Some(9),
                retransmitted: Some(0),
                listen_overflows: Some(5000 + refused),
            });
            assert_eq!(grade(&LISTEN_OVERFLOWS, &snapshot), None, "nobody knows when");
            let history = trends(&snapshot, series, &[5000.0; 2]).await;
            assert_eq!(grade_with(&LISTEN_OVERFLOWS, &snapshot, &history), expected, "{refused}");
            let history =
                trends(&snapshot, series, &[vec![0.0], vec![5000.0 + refused as f64; 3]].concat()).await;
            assert_eq!(grade_with(&LISTEN_OVERFLOWS, &snapshot, &history), None, "long ago");
        }
    }
}
