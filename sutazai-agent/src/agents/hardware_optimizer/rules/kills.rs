//! Rules about processes that the kernel killed for lack of memory: because the machine had none left, or because a
//! control group reached its limit.
//!
//! The machine's counter includes both. The kernel's log tells them apart, where it can be read.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use sutazai_core::domain::{KillInfo, Severity};

use super::draft::{Draft, Found};
use super::figures::{count, sentence_case};
use super::judged::{Judged, Levels};
use super::memory::{LARGEST, RESOURCE};
use super::names::clean_name;
use super::rule::{Facts, Rest, Rule};

/// Age of kills that mean a current shortage of memory.
pub(super) const CURRENT_WINDOW: TimeDelta = TimeDelta::hours(1);
/// Age of kills that count as recent.
pub(super) const RECENT_WINDOW: TimeDelta = TimeDelta::hours(24);

const LOST_WORK: &str = "A process that is killed this way cannot save its work or close its connections.";
const GROUP_LOG: (&str, &str, &str) = (
    "Read which processes were killed and when.",
    "journalctl -k --grep 'memory cgroup out of memory' | tail",
    "Run {command} to see which processes were killed and when, and check that their services run again.",
);

/// Reports processes that were killed because the machine ran out of memory.
pub(super) const OOM_KILLS: Rule = Rule {
    name: "oom_kills",
    title: "Processes killed for lack of memory",
    meaning: "The kernel's out-of-memory killer ended processes because the machine had no memory left. \
              Kills at the limit of a control group are left out: the kernel's log tells which those are, or \
              else the counters of the groups.",
    conditions: [
        "any since boot, if that is longer ago than a day",
        "any within a day",
        "any within an hour, by history or by the kernel's log",
    ],
    source: "A kill is a fault in itself; the times are ours",
    judged: &[Judged::above(
        "host.memory.oom_kills",
        "count",
        Levels::NONE.info(0.0).warning(0.0).critical(0.0),
    )],
    needs: &["host.memory.oom_kills"],
    check: |facts| Vec::from_iter(of_the_machine(facts)),
};

/// Reports processes that were killed because a control group reached its limit.
pub(super) const GROUP_OOM_KILLS: Rule = Rule {
    name: "group_oom_kills",
    title: "Processes killed at a group limit",
    meaning: "The kernel killed processes because a control group reached its memory limit, by the kernel's \
              log. That of the analyzer itself is `cgroup_oom_kills`.",
    conditions: ["longer ago than a day", "any within a day", ""],
    source: "As for `oom_kills`; the machine itself has memory",
    judged: &[Judged::above("host.kills.groups[<group>]", "count", Levels::NONE.info(0.0).warning(0.0))],
    needs: &["host.kills.logged"],
    check: of_groups,
};

/// Returns the logged kills of control groups or, with `of_group` false, of the machine.
pub(super) fn logged<'a>(facts: &Facts<'a>, of_group: bool) -> impl Iterator<Item = &'a KillInfo> {
    let log = facts.snapshot.host.value().and_then(|host| host.kills.logged.as_deref());
    log.unwrap_or_default().iter().filter(move |kill| kill.group.is_some() == of_group)
}

pub(super) fn within(kill: &KillInfo, time: TimeDelta) -> bool {
    kill.seconds_ago <= time.num_seconds().unsigned_abs()
}

fn of_the_machine(facts: &Facts<'_>) -> Option<Found> {
    const PATH: &str = "host.memory.oom_kills";
    let host = facts.snapshot.host.value()?;
    if host.memory.oom_kills.is_some() || host.kills.logged.is_some() {
        facts.look();
    }
    let counted = host.memory.oom_kills.unwrap_or(0);
    let own_group = facts.snapshot.cgroup.value().and_then(|group| group.oom_kills).unwrap_or(0);
    let in_log = logged(facts, true).count() as u64;
    let in_groups = in_log.max(host.kills.in_groups.unwrap_or(0)).max(own_group);
    let kills = counted.saturating_sub(in_groups).max(logged(facts, false).count() as u64);
    if kills == 0 {
        return None;
    }
    let young = host.uptime_seconds.is_some_and(|up| up < RECENT_WINDOW.num_seconds().unsigned_abs());
    // The history without the kills of groups, or the log, whichever saw more.
    let recent = |time| {
        let of_groups = logged(facts, true).filter(|kill| within(kill, time)).count() as f64;
        let risen = facts.trends.rise(PATH, time, counted as f64).map(|rise| rise - of_groups);
        let in_log = logged(facts, false).filter(|kill| within(kill, time)).count() as f64;
        Some(risen.unwrap_or(0.0).max(in_log).min(kills as f64)).filter(|number| *number >= 1.0)
    };
    let (severity, recent, when) = match (recent(CURRENT_WINDOW), recent(RECENT_WINDOW)) {
        (Some(now), _) => (Severity::Critical, now, "within the last hour"),
        (None, Some(lately)) => (Severity::Warning, lately, "within the last day"),
        (None, None) => {
            let severity = if young { Severity::Warning } else { Severity::Info };
            (severity, kills as f64, "since the machine was started")
        }
    };
    let killed = count(recent as u64, "process", "processes");
    let been = if recent as u64 == 1 { "has been" } else { "have been" };
    let again = if severity == Severity::Info {
        "It can happen again when the same programs run together."
    } else {
        "It can happen again as long as programs need more memory than they can get."
    };
    let headline = match recent as u64 {
        1 => "the kernel killed a process for lack of memory",
        _ => "the kernel killed processes for lack of memory",
    };
    let found = Draft::new(&OOM_KILLS, severity, RESOURCE)
        .judged(PATH, recent, "count", 0.0)
        .statements([
            format!("The kernel has killed {killed} for lack of memory {when}."),
            format!("The out-of-memory killer of the kernel has ended {killed} {when}."),
            format!("{}, {killed} {been} killed because memory ran out.", sentence_case(when)),
        ])
        .consequences(&[
            LOST_WORK,
            again,
            "A service that was killed stays down until something starts it again.",
            "The kernel mostly picks the process that holds the most memory, even if it is an important one.",
        ])
        .command(
            "Read which processes were killed and when.",
            "journalctl -k --grep 'out of memory' | tail",
            "Run {command} to see which processes were killed and when, and check that their services run again.",
        )
        .command(
            LARGEST.0,
            LARGEST.1,
            "Run {command} to see which processes hold the most memory now, and compare them with those that were \
             killed.",
        )
        .remedy("Set a memory limit for large services, so that one of them cannot exhaust the machine.")
        .advice("Add memory or swap space if the services that were killed need this much in normal use.")
        .finish(headline);
    Some(found)
}

fn of_groups(facts: &Facts<'_>) -> Vec<Found> {
    if facts.snapshot.host.value().is_some_and(|host| host.kills.logged.is_some()) {
        facts.look();
    }
    // The control group of this process has its own rule.
    let own = facts.snapshot.cgroup.value().filter(|group| group.oom_kills.is_some_and(|kills| kills > 0));
    let own = own.map(|group| group.path.as_str());
    let mut groups: BTreeMap<&str, Vec<&KillInfo>> = BTreeMap::new();
    for kill in logged(facts, true) {
        let group = kill.group.as_deref().unwrap_or_default();
        if Some(group) != own {
            groups.entry(group).or_default().push(kill);
        }
    }
    // If there are more groups than are reported, the latest kills matter most.
    let mut groups: Vec<(&str, Vec<&KillInfo>)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, kills)| kills.iter().map(|kill| kill.seconds_ago).min());
    let rest = Rest {
        metric: "host.kills.groups",
        things: "control groups",
        are: "affected by kills at their memory limit",
        consequence: LOST_WORK,
        text: GROUP_LOG.0,
        command: GROUP_LOG.1,
        advice: GROUP_LOG.2,
    };
    GROUP_OOM_KILLS.worst(groups.into_iter().map(|(group, kills)| of_group(group, &kills)).collect(), &rest)
}

fn of_group(group: &str, kills: &[&KillInfo]) -> Found {
    let number = |time| kills.iter().filter(|kill| within(kill, time)).count();
    let (severity, number, when) = match (number(CURRENT_WINDOW), number(RECENT_WINDOW)) {
        (0, 0) => (Severity::Info, kills.len(), "since the machine was started"),
        (0, lately) => (Severity::Warning, lately, "within the last day"),
        (now, _) => (Severity::Warning, now, "within the last hour"),
    };
    let name = clean_name(group);
    let killed = count(number as u64, "process", "processes");
    let were = if number == 1 { "was" } else { "were" };
    let last = kills.last().map_or_else(String::new, |kill| clean_name(&kill.process));
    Draft::new(&GROUP_OOM_KILLS, severity, format!("group {name}"))
        .about(&name)
        .judged(format!("host.kills.groups[{name}]"), number as f64, "count", 0.0)
        .statements([
            format!("In group {name}, {killed} {were} killed at the memory limit of the group {when}, last {last}."),
            format!("The kernel has killed {killed} {when}, because control group {name} reached its memory limit."),
        ])
        .consequences(&[
            LOST_WORK,
            "The machine itself may have enough memory, because the limit applies to the group alone.",
            "It can happen again as long as the group needs more memory than its limit.",
            "A service that was killed stays down until something starts it again.",
        ])
        .command(GROUP_LOG.0, GROUP_LOG.1, GROUP_LOG.2)
        .command(
            "See what each control group uses.",
            "systemd-cgtop -b -n 1",
            "Run {command} to see how much memory each control group uses now.",
        )
        .remedy("Raise the memory limit of the group, or run less in it.")
        .advice("Reduce the caches or the number of workers in the settings of the service.")
        .finish(format!("processes were killed in group {name}"))
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Info, Warning};
    use sutazai_core::domain::Snapshot;

    use super::super::rule::tests::{grade, grade_with};
    use super::super::sample::{cgroup, healthy, host};
    use super::super::trends::Trends;
    use super::super::trends::tests::trends;
    use super::*;

    const HOUR: u64 = 3600;

    fn kill(seconds_ago: u64, group: Option<&str>) -> KillInfo {
        KillInfo { seconds_ago, pid: 7, process: "python".into(), group: group.map(str::to_owned) }
    }

    /// Returns a machine that has counted `counted` kills and has `log` in its log.
    fn machine(counted: u64, log: Option<&[KillInfo]>) -> Snapshot {
        let mut snapshot = healthy();
        host(&mut snapshot).memory.oom_kills = Some(counted);
        host(&mut snapshot).kills.logged = log.map(<[_]>::to_vec);
        snapshot
    }

    #[tokio::test]
    async fn recent_kills_are_more_severe() {
        const PATH: &str = "host.memory.oom_kills";
        for (kills, expected) in [(None, None), (Some(0), None), (Some(1), Some(Info))] {
            let mut snapshot = healthy();
            host(&mut snapshot).memory.oom_kills = kills;
            assert_eq!(grade(&OOM_KILLS, &snapshot), expected, "{kills:?}");
        }
        for (uptime, expected) in [(Some(86_399), Warning), (Some(86_400), Info), (None, Info)] {
            let mut snapshot = machine(1, None);
            host(&mut snapshot).uptime_seconds = uptime;
            assert_eq!(grade(&OOM_KILLS, &snapshot), Some(expected), "{uptime:?}");
        }
        let snapshot = machine(3, None);
        for (earlier, lately, expected) in [(3.0, 3.0, Info), (1.0, 3.0, Warning), (1.0, 2.0, Critical)] {
            let values = [[earlier; 20], [lately; 20]].concat();
            let trends = trends(&snapshot, PATH, &values).await;
            assert_eq!(grade_with(&OOM_KILLS, &snapshot, &trends), Some(expected), "{earlier} {lately}");
        }
    }

    #[test]
    fn log_dates_kills_of_the_machine() {
        for (seconds_ago, expected) in
            [(HOUR, Critical), (HOUR + 1, Warning), (24 * HOUR, Warning), (24 * HOUR + 1, Info)]
        {
            let snapshot = machine(1, Some(&[kill(seconds_ago, None)]));
            assert_eq!(grade(&OOM_KILLS, &snapshot), Some(expected), "{seconds_ago}");
            assert_eq!(grade(&GROUP_OOM_KILLS, &snapshot), None);
        }
    }

    #[tokio::test]
    async fn kill_within_a_group_is_not_attributed_to_the_machine() {
        let log = [kill(60, Some("/docker/abc")), kill(30, Some("/docker/abc"))];
        let snapshot = machine(2, Some(&log));
        assert_eq!(grade(&OOM_KILLS, &snapshot), None);
        // History does not attribute it to the machine either.
        let values = [[0.0; 20], [0.0; 20]].concat();
        let trends = trends(&snapshot, "host.memory.oom_kills", &values).await;
        assert_eq!(grade_with(&OOM_KILLS, &snapshot, &trends), None);
        let found = (GROUP_OOM_KILLS.check)(&Facts::new(&snapshot, &Trends::default()));
        assert_eq!(
            found[0].finding.summary,
            "In group /docker/abc, 2 processes were killed at the memory limit of the group within the last hour, \
             last python."
        );
        for (seconds_ago, expected) in [(HOUR, Warning), (24 * HOUR, Warning), (24 * HOUR + 1, Info)] {
            let snapshot = machine(1, Some(&[kill(seconds_ago, Some("/a"))]));
            assert_eq!(grade(&GROUP_OOM_KILLS, &snapshot), Some(expected), "{seconds_ago}");
        }
        let both = machine(3, Some(&[kill(9, Some("/a")), kill(9, None), kill(9, Some("/b"))]));
        assert_eq!(grade(&OOM_KILLS, &both), Some(Critical));
        assert_eq!((GROUP_OOM_KILLS.check)(&Facts::new(&both, &Trends::default())).len(), 2);
    }

    #[test]
    fn without_log_counters_of_groups_are_used() {
        let mut snapshot = machine(3, None);
        host(&mut snapshot).kills.in_groups = Some(2);
        assert_eq!(grade(&OOM_KILLS, &snapshot), Some(Info));
        host(&mut snapshot).kills.in_groups = Some(3);
        assert_eq!(grade(&OOM_KILLS, &snapshot), None);
        host(&mut snapshot).kills.in_groups = None;
        cgroup(&mut snapshot).oom_kills = Some(3);
        assert_eq!(grade(&OOM_KILLS, &snapshot), None, "all were in the group of this process");
    }
}
