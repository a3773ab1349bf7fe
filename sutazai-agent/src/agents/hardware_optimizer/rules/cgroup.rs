//! Rules about the control group of this process: a container or a service with its own limits.

use sutazai_core::domain::{CgroupMetrics, Severity};

use super::bounds::{self, Bounds};
use super::draft::{Draft, Found};
use super::figures::{bytes, count, decimal, hours, percent};
use super::judged::{Judged, Levels};
use super::kills::{CURRENT_WINDOW, RECENT_WINDOW, logged, within};
use super::lately::{self, Counter, Share, Verdict};
use super::rule::{Facts, Rule};
use super::trends::{Points, risen, seconds};

/// Throttled periods in percent of all: the Kubernetes monitoring mixin alerts at 25 %.
const THROTTLED: Bounds = Bounds::new(25.0, 75.0);
/// Minimum number of periods (a tenth of a second each) for a share to be judged: under a low limit, the start of a program
/// alone is throttled.
const MIN_PERIODS: u64 = 100;
/// Minimum number of periods in the last part of the recent ones: in fewer, a group that is often throttled may not be.
const MIN_LAST_PERIODS: f64 = 20.0;
/// Minimum number of periods between the readings of one snapshot, half a second apart, for a warning without history.
const MIN_OBSERVED_PERIODS: f64 = 4.0;
/// Minimum share of the processor limit, in percent, that other processes use for such a warning: under a low limit,
/// the measurement itself is throttled. Our choice.
const MIN_OTHER_USE_PERCENT: f64 = 50.0;
/// Used share of the memory limit in percent; our choice, a little before the usual 90 %.
const MEMORY: Bounds = Bounds::new(85.0, 95.0);
/// Used share of the process limit in percent; usual thresholds of monitoring checks.
const PIDS: Bounds = Bounds::new(80.0, 95.0);

const RESOURCE: &str = "control group";
const MEMBERSHIP: (&str, &str, &str) = (
    "See the path of the control group.",
    "cat /proc/self/cgroup",
    "Run {command} in the same container or service to see the path of its control group.",
);
const TOP: (&str, &str) = ("See what each control group uses.", "systemd-cgtop -b -n 1");

/// Reports a group that is throttled by its processor limit.
pub(super) const CPU_THROTTLED: Rule = Rule {
    name: "cpu_throttled",
    title: "Processor limit of the control group",
    meaning: "The processor limit stopped the group in a share of its periods in the last minutes (at least \
              100 of them, of which 20 are in the last part, and in both parts). Where the history has \
              fewer, in the last half second (at least 4, and in both halves), if the processes other than \
              the measuring one use over half of the limit.",
    conditions: [
        "over 25 % since the group was started, without history",
        "over 25 %",
        "over 75 % in the last minutes",
    ],
    source: "The Kubernetes monitoring mixin alerts at 25 %; the rest is ours",
    judged: &[Judged::percent("cgroup.throttled_percent", THROTTLED.levels_from_info())],
    needs: &["cgroup.periods", "cgroup.throttled_periods"],
    check: |facts| Vec::from_iter(group(facts).and_then(|group| throttled(facts, group))),
};

/// Reports a group that is near its memory limit.
pub(super) const CGROUP_MEMORY_NEAR_LIMIT: Rule = Rule {
    name: "cgroup_memory_near_limit",
    title: "Memory limit of the control group",
    meaning: "The kernel kills in the group when the limit is reached. Where `memory.high` is the lower \
              limit, the kernel slows the group down instead, which is a warning at most.",
    conditions: ["", "over 85 % of the limit", "over 95 %"],
    source: "As for containers; ours",
    judged: &[Judged::percent("cgroup.memory_used_percent", MEMORY.levels())],
    needs: &["cgroup.memory_used_bytes", "cgroup.memory_limit_bytes", "cgroup.memory_high_bytes"],
    check: |facts| Vec::from_iter(group(facts).and_then(|group| memory(facts, group))),
};

/// Reports processes of the group that were killed at its memory limit.
pub(super) const CGROUP_OOM_KILLS: Rule = Rule {
    name: "cgroup_oom_kills",
    title: "Processes killed in the control group",
    meaning: "The kernel killed processes at the memory limit of the group, by the history or by the \
              kernel's log.",
    conditions: ["longer ago than a day", "any within a day, or since a start within the last day", ""],
    source: "A kill is a fault in itself",
    judged: &[Judged::above("cgroup.oom_kills", "count", Levels::NONE.info(0.0).warning(0.0))],
    needs: &["cgroup.oom_kills"],
    check: |facts| Vec::from_iter(group(facts).and_then(|group| oom_kills(facts, group))),
};

/// Reports a group that is near its process limit.
pub(super) const PIDS_NEAR_LIMIT: Rule = Rule {
    name: "pids_near_limit",
    title: "Process limit of the control group",
    meaning: "No process or thread can start beyond `pids.max`.",
    conditions: ["", "over 80 % of the limit", "over 95 %"],
    source: "Customary bounds of monitoring checks",
    judged: &[Judged::percent("cgroup.pids_percent", PIDS.levels())],
    needs: &["cgroup.pids", "cgroup.pids_limit"],
    check: |facts| Vec::from_iter(group(facts).and_then(|group| pids(facts, group))),
};

/// Returns the series of a figure of this group. It names the group: a server and a command line in different groups may write to
/// one history, and a counter that changes between groups would look like one that rises.
fn series(group: &CgroupMetrics, figure: &str) -> String {
    format!("cgroup[{}].{figure}", group.path)
}

fn group<'a>(facts: &Facts<'a>) -> Option<&'a CgroupMetrics> {
    facts.snapshot.cgroup.value()
}

/// By the periods of the last minutes where there is history, or else by the readings of the snapshot: what ended long ago
/// is informational.
fn throttled(facts: &Facts<'_>, group: &CgroupMetrics) -> Option<Found> {
    let (periods, throttled) = (group.periods? as f64, group.throttled_periods? as f64);
    let all = (series(group, "periods"), periods);
    let faults = (series(group, "throttled_periods"), throttled);
    let least = MIN_PERIODS as f64;
    let graded = |seen: Share, most: Severity| {
        let share = bounds::percent(seen.faults, seen.events);
        let (severity, bound) = THROTTLED.grade(share).filter(|_| seen.lasts)?;
        Some((severity.min(most), share, bound, Some(seen)))
    };
    let since_start = || {
        let share = bounds::percent(throttled, periods);
        let (_, bound) = THROTTLED.grade(share).filter(|_| periods >= least)?;
        Some((Severity::Info, share, bound, None))
    };
    let verdict = lately::verdict(facts, &all, std::slice::from_ref(&faults), [least, MIN_LAST_PERIODS]);
    let now = throttled_now(facts, group, &all, &faults);
    if verdict == Verdict::Unknown && now.is_none() && periods < least {
        facts.lack_readings();
    } else {
        facts.look();
    }
    // Less than a second is not critical.
    let now = || graded(now?, Severity::Warning);
    let (severity, share, bound, lately) = match verdict {
        Verdict::Lately(seen) => graded(seen, Severity::Critical)?,
        Verdict::Quiet => now()?,
        Verdict::Unknown => now().or_else(since_start)?,
    };
    let (counted, of) = lately.map_or((throttled, periods), |seen| (seen.faults, seen.events));
    let mut draft = Draft::new(&CPU_THROTTLED, severity, RESOURCE)
        .judged("cgroup.throttled_percent", share, "percent", bound)
        .context("cgroup.throttled_periods", counted, "count")
        .context("cgroup.periods", of, "count");
    let mut limit = String::new();
    if let Some(cores) = group.cpu_limit_cores {
        draft = draft.context("cgroup.cpu_limit_cores", cores, "cores");
        limit = format!(" of {} {}", decimal(cores), if cores == 1.0 { "core" } else { "cores" });
    }
    if let Some(seen) = lately {
        draft = draft.context("cgroup.observed_hours", seen.hours(), "hours");
    }
    let time = lately.map_or_else(
        || "since the group was started".to_owned(),
        |seen| format!("in the last {}", hours(seen.hours())),
    );
    let share = percent(share);
    let found = draft
        .statements([
            format!(
                "The processor limit{limit} stopped the control group in {share} of its scheduling periods {time}."
            ),
            format!(
                "The control group was throttled in {counted} of {of} scheduling periods ({share}) {time}."
            ),
            format!(
                "In {share} of its scheduling periods {time}, the control group used up its processor limit{limit}."
            ),
        ])
        .consequences(&[
            "Work pauses until the next period begins, even if processors are free.",
            "Response times become uneven because requests are stopped and continued later.",
            "A program with many threads uses up the limit quickly, so that all of them have to pause.",
        ])
        .command(TOP.0, TOP.1, "Run {command} to see which control groups use the most processor time.")
        .command(MEMBERSHIP.0, MEMBERSHIP.1, MEMBERSHIP.2)
        .remedy("Raise the processor limit, or run fewer threads.")
        .advice("Set the number of worker threads to the number of processors that the limit allows.")
        .finish("the control group is throttled by its processor limit");
    Some(found)
}

/// Returns the share of throttled periods over the readings of this snapshot, if the other processes of the group use
/// much of its limit.
fn throttled_now(
    facts: &Facts<'_>,
    group: &CgroupMetrics,
    periods: &Counter,
    throttled: &Counter,
) -> Option<Share> {
    let cores = group.cpu_limit_cores?;
    // Only readings of this snapshot have this series: another process leaves out its own time instead.
    let used = facts.readings(&series(group, "other_cpu_seconds"), group.other_cpu_seconds?);
    let [(first, used_first), .., (last, used_last)] = used.as_slice() else { return None };
    let seconds = seconds(*last - *first);
    if bounds::percent(used_last - used_first, cores * seconds) <= MIN_OTHER_USE_PERCENT {
        return None;
    }
    let at_those_times = |counter: &Counter| -> Points {
        let readings = facts.readings(&counter.0, counter.1).into_iter();
        readings.filter(|(at, _)| used.iter().any(|(time, _)| time == at)).collect()
    };
    let (periods, throttled) = (at_those_times(periods), at_those_times(throttled));
    let events = risen(&periods);
    let steps: Vec<f64> = throttled.windows(2).map(risen).collect();
    let complete = periods.len() == used.len() && throttled.len() == used.len();
    (complete && steps.len() >= 2 && events >= MIN_OBSERVED_PERIODS).then(|| Share {
        faults: steps.iter().sum(),
        events,
        seconds,
        lasts: steps.iter().all(|step| *step > 0.0),
    })
}

fn memory(facts: &Facts<'_>, group: &CgroupMetrics) -> Option<Found> {
    // Above `memory.high` the kernel kills nothing, but throttles the group.
    let high =
        group.memory_high_bytes.filter(|high| group.memory_limit_bytes.is_none_or(|limit| *high < limit));
    let figure = if high.is_some() { "memory_high_bytes" } else { "memory_limit_bytes" };
    let (used, limit) = (group.memory_used_bytes? as f64, high.or(group.memory_limit_bytes)? as f64);
    let share = bounds::percent(used, limit);
    facts.look();
    let (severity, bound) = MEMORY.grade(share)?;
    let severity = if high.is_some() { Severity::Warning } else { severity };
    let draft = Draft::new(&CGROUP_MEMORY_NEAR_LIMIT, severity, RESOURCE)
        .judged("cgroup.memory_used_percent", share, "percent", bound)
        .since(facts.trends.over_since(&series(group, "memory_used_bytes"), bound / 100.0 * limit))
        .context("cgroup.memory_used_bytes", used, "bytes")
        .context(format!("cgroup.{figure}"), limit, "bytes");
    let reached = match high {
        Some(_) => {
            "When the limit is reached, the kernel slows down the group and takes memory back from it."
        }
        None => "When the limit is reached, the kernel kills processes in the group.",
    };
    let (share, used, limit) = (percent(share), bytes(used), bytes(limit));
    let found = draft
        .statements([
            format!("The control group uses {used} of the {limit} of memory it may use, {share} of its limit."),
            format!("Memory use of the control group is at {share} of its limit of {limit}."),
            format!("The control group has reached {share} of its memory limit ({used} of {limit})."),
        ])
        .consequences(&[
            reached,
            "Near the limit, processes in the group [may slow down|may become slower] while the kernel frees memory.",
            "The limit applies to all processes of the group together, even if the machine has free memory.",
        ])
        .command(
            "See which processes hold the most memory.",
            "ps aux --sort=-rss | head",
            "Run {command} to see which processes hold the most memory, and look for those of this group.",
        )
        .command(MEMBERSHIP.0, MEMBERSHIP.1, MEMBERSHIP.2)
        .remedy("Raise the memory limit, or run less in this group.")
        .advice("Look for a process that keeps growing before you raise the limit.")
        .finish("the control group is near its memory limit");
    Some(found)
}

/// By history or by the kernel's log, whichever saw more: kills of long ago are informational.
fn oom_kills(facts: &Facts<'_>, group: &CgroupMetrics) -> Option<Found> {
    const PATH: &str = "cgroup.oom_kills";
    let total = group.oom_kills?;
    facts.look();
    if total == 0 {
        return None;
    }
    let recent = |time| {
        let in_log = logged(facts, true)
            .filter(|kill| kill.group.as_deref() == Some(group.path.as_str()) && within(kill, time))
            .count() as f64;
        let risen = facts.trends.rise(&series(group, "oom_kills"), time, total as f64).unwrap_or(0.0);
        Some(risen.max(in_log).min(total as f64)).filter(|kills| *kills >= 1.0)
    };
    let up = facts.snapshot.host.value().and_then(|host| host.uptime_seconds);
    let is_young = up.is_some_and(|up| up < RECENT_WINDOW.num_seconds().unsigned_abs());
    let (severity, kills, when) = match (recent(CURRENT_WINDOW), recent(RECENT_WINDOW)) {
        (Some(now), _) => (Severity::Warning, now as u64, "within the last hour"),
        (None, Some(lately)) => (Severity::Warning, lately as u64, "within the last day"),
        (None, None) if is_young => (Severity::Warning, total, "since the machine was started"),
        (None, None) => (Severity::Info, total, "since the group was started"),
    };
    let killed = count(kills, "process", "processes");
    let were = if kills == 1 { "was" } else { "were" };
    let found = Draft::new(&CGROUP_OOM_KILLS, severity, RESOURCE)
        .judged(PATH, kills as f64, "count", 0.0)
        .statements([
            format!("The kernel killed {killed} {when} because the control group reached its memory limit."),
            format!("In the control group, {killed} {were} killed at the memory limit {when}."),
            format!(
                "The memory limit of the control group has led to {} {when}.",
                count(kills, "killed process", "killed processes")
            ),
        ])
        .consequences(&[
            "A process that is killed this way cannot save its work or close its connections.",
            "It can happen again as long as the group needs more memory than its limit.",
            "A service that was killed stays down until something starts it again.",
        ])
        .command(
            "Read which processes were killed and when.",
            "journalctl -k --grep 'memory cgroup' | tail",
            "Run {command} to see which processes were killed and when, and check that their services run again.",
        )
        .command(MEMBERSHIP.0, MEMBERSHIP.1, MEMBERSHIP.2)
        .remedy("Raise the memory limit, or run less in this group.")
        .advice("Reduce the caches or the number of workers in the settings of the service.")
        .finish("processes were killed at the memory limit of the control group");
    Some(found)
}

fn pids(facts: &Facts<'_>, group: &CgroupMetrics) -> Option<Found> {
    let (used, limit) = (group.pids? as f64, group.pids_limit? as f64);
    let share = bounds::percent(used, limit);
    facts.look();
    let (severity, bound) = PIDS.grade(share)?;
    let draft = Draft::new(&PIDS_NEAR_LIMIT, severity, RESOURCE)
        .judged("cgroup.pids_percent", share, "percent", bound)
        .context("cgroup.pids", used, "count")
        .context("cgroup.pids_limit", limit, "count");
    let share = percent(share);
    let found = draft
        .statements([
            format!("The control group has {used} of the {limit} processes and threads it may have, which is {share}."),
            format!("The control group has reached {share} of its limit of {limit} processes and threads."),
            format!("With {used} processes and threads, the control group is at {share} of its limit."),
        ])
        .consequences(&[
            "When the limit is reached, no process or thread can be started in the group.",
            "Programs then report missing resources, although memory and processors may be free.",
            "A program that never ends its threads is a common cause.",
        ])
        .command(
            "See which programs have the most threads.",
            "ps -eo nlwp,pid,comm --sort=-nlwp | head",
            "Run {command} to see which programs have the most threads, and run it again later to see which grow.",
        )
        .command(MEMBERSHIP.0, MEMBERSHIP.1, MEMBERSHIP.2)
        .remedy("Raise the limit of processes, or look for a program that starts too many.")
        .advice("Limit the number of threads or workers in the settings of the largest program.")
        .finish("the control group is near its process limit");
    Some(found)
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Info, Warning};
    use sutazai_core::domain::{EarlierValue, KillInfo, Snapshot};

    use super::super::rule::tests::{grade, grade_with};
    use super::super::sample::{cgroup, healthy, host};
    use super::super::trends::Trends;
    use super::super::trends::tests::trends;
    use super::*;

    /// Grades the periods of the last ten minutes, of which some were throttled in each of two steps.
    async fn lately(periods: u64, throttled: [u64; 2]) -> Option<Severity> {
        let mut snapshot = healthy();
        let group = cgroup(&mut snapshot);
        let (before, now) = (1_000_000 - periods, 1_000_000);
        let throttled_before = 500_000;
        let throttled_now = throttled_before + throttled[0] + throttled[1];
        (group.periods, group.throttled_periods) = (Some(now), Some(throttled_now));
        let middle = [before + periods / 2, throttled_before + throttled[0]].map(|count| count as f64);
        let mut history =
            trends(&snapshot, &series_of(&mut snapshot.clone(), "periods"), &[before as f64, middle[0]])
                .await;
        let faults = [throttled_before as f64, middle[1]];
        history
            .join(trends(&snapshot, &series_of(&mut snapshot.clone(), "throttled_periods"), &faults).await);
        grade_with(&CPU_THROTTLED, &snapshot, &history)
    }

    #[tokio::test]
    async fn throttling_is_a_share_of_the_periods_of_the_last_minutes() {
        for (periods, throttled, expected) in [
            (1000, [125, 125], None),
            (1000, [126, 125], Some(Warning)),
            (1000, [375, 375], Some(Warning)),
            (1000, [376, 375], Some(Critical)),
            (100, [50, 50], Some(Critical)),
            // Too few periods, and all of it in one step.
            (99, [50, 49], None),
            (1000, [500, 0], None),
            (1000, [0, 500], None),
        ] {
            assert_eq!(lately(periods, throttled).await, expected, "{throttled:?} of {periods}");
        }
    }

    #[test]
    fn throttling_without_history_is_informational() {
        for (throttled, periods, expected) in [
            (250, 1000, None),
            (251, 1000, Some(Info)),
            (1000, 1000, Some(Info)),
            (99, 99, None),
            (100, 100, Some(Info)),
            (0, 0, None),
        ] {
            let mut snapshot = healthy();
            let group = cgroup(&mut snapshot);
            (group.throttled_periods, group.periods) = (Some(throttled), Some(periods));
            assert_eq!(grade(&CPU_THROTTLED, &snapshot), expected, "{throttled} of {periods}");
            cgroup(&mut snapshot).periods = None;
            assert_eq!(grade(&CPU_THROTTLED, &snapshot), None);
        }
    }

    /// Returns a machine whose group, limited to two processors, had these periods, throttled periods and seconds of other
    /// processes in each of two steps of a quarter of a second.
    fn read_now(steps: [(u64, u64, f64); 2]) -> Snapshot {
        let mut snapshot = healthy();
        let group = cgroup(&mut snapshot);
        let mut counted = (1_000_000, 10, 500.0);
        for (step, seconds_ago) in steps.into_iter().zip([0.5, 0.25]) {
            let (periods, throttled, used) = counted;
            for (figure, value) in [
                ("periods", periods as f64),
                ("throttled_periods", throttled as f64),
                ("other_cpu_seconds", used),
            ] {
                let series = series(group, figure);
                group.earlier.push(EarlierValue { series, seconds_ago, value });
            }
            counted = (periods + step.0, throttled + step.1, used + step.2);
        }
        (group.periods, group.throttled_periods) = (Some(counted.0), Some(counted.1));
        (group.cpu_limit_cores, group.other_cpu_seconds) = (Some(2.0), Some(counted.2));
        snapshot
    }

    #[test]
    fn throttling_now_is_a_warning_without_history() {
        for (steps, expected) in [
            ([(3, 3, 0.5), (2, 2, 0.5)], Some(Warning)),
            ([(2, 1, 0.5), (2, 1, 0.5)], Some(Warning)),
            // A quarter of the periods, and a little more.
            ([(4, 1, 0.5), (4, 1, 0.5)], None),
            ([(4, 1, 0.5), (3, 1, 0.5)], Some(Warning)),
            // Too few periods, and all of it in one step.
            ([(2, 2, 0.5), (1, 1, 0.5)], None),
            ([(3, 3, 0.5), (2, 0, 0.5)], None),
            ([(3, 0, 0.5), (2, 2, 0.5)], None),
            // Other processes use half of the limit and a little more.
            ([(3, 3, 0.25), (2, 2, 0.25)], None),
            ([(3, 3, 0.25), (2, 2, 0.26)], Some(Warning)),
            ([(3, 3, 0.0), (2, 2, 0.0)], None),
            ([(3, 3, -0.01), (2, 2, -0.01)], None),
        ] {
            let mut snapshot = read_now(steps);
            assert_eq!(grade(&CPU_THROTTLED, &snapshot), expected, "{steps:?}");
            cgroup(&mut snapshot).other_cpu_seconds = None;
            assert_eq!(grade(&CPU_THROTTLED, &snapshot), None, "{steps:?}, by an unknown process");
        }
        let mut snapshot = read_now([(3, 3, 0.5), (2, 2, 0.5)]);
        let no_trends = Trends::default();
        let facts = Facts::new(&snapshot, &no_trends);
        assert_eq!(
            (CPU_THROTTLED.check)(&facts)[0].finding.summary,
            "The processor limit of 2 cores stopped the control group in 100 % of its scheduling periods in the last \
             0.5 seconds."
        );
        cgroup(&mut snapshot).earlier.drain(..3);
        assert_eq!(grade(&CPU_THROTTLED, &snapshot), None, "one step");
    }

    #[tokio::test]
    async fn throttling_now_is_found_after_quiet_minutes() {
        let mut snapshot = read_now([(3, 3, 0.5), (2, 2, 0.5)]);
        let mut history = trends(&snapshot, &series_of(&mut snapshot.clone(), "periods"), &[1e6; 3]).await;
        history.join(
            trends(&snapshot, &series_of(&mut snapshot.clone(), "throttled_periods"), &[10.0; 3]).await,
        );
        assert_eq!(grade_with(&CPU_THROTTLED, &snapshot, &history), Some(Warning));
        cgroup(&mut snapshot).earlier.clear();
        assert_eq!(grade_with(&CPU_THROTTLED, &snapshot, &history), None);
    }

    #[test]
    fn shares_of_the_limits_are_graded_by_bounds() {
        type Set = fn(&mut CgroupMetrics, u64, Option<u64>);
        let rules: [(&Rule, Set, [u64; 2]); 2] = [
            (
                &CGROUP_MEMORY_NEAR_LIMIT,
                |group, used, limit| {
                    (group.memory_used_bytes, group.memory_limit_bytes) = (Some(used), limit)
                },
                [850, 950],
            ),
            (
                &PIDS_NEAR_LIMIT,
                |group, used, limit| (group.pids, group.pids_limit) = (Some(used), limit),
                [800, 950],
            ),
        ];
        for (rule, set, [warning, critical]) in rules {
            for (used, limit, expected) in [
                (warning, Some(1000), None),
                (warning + 1, Some(1000), Some(Warning)),
                (critical, Some(1000), Some(Warning)),
                (critical + 1, Some(1000), Some(Critical)),
                (5000, None, None),
                (0, Some(0), None),
            ] {
                let mut snapshot = healthy();
                set(cgroup(&mut snapshot), used, limit);
                assert_eq!(grade(rule, &snapshot), expected, "{} {used} of {limit:?}", rule.name);
            }
        }
    }

    #[test]
    fn memory_high_is_never_critical() {
        for (used, high, limit, expected) in [
            (850, Some(1000), None, None),
            (851, Some(1000), None, Some(Warning)),
            (1200, Some(1000), None, Some(Warning)),
            (960, Some(2000), Some(1000), Some(Critical)),
            (960, Some(1000), Some(2000), Some(Warning)),
        ] {
            let mut snapshot = healthy();
            let group = cgroup(&mut snapshot);
            group.memory_used_bytes = Some(used);
            (group.memory_high_bytes, group.memory_limit_bytes) = (high, limit);
            assert_eq!(grade(&CGROUP_MEMORY_NEAR_LIMIT, &snapshot), expected, "{used} {high:?} {limit:?}");
        }
    }

    fn series_of(snapshot: &mut Snapshot, figure: &str) -> String {
        series(cgroup(snapshot), figure)
    }

    #[tokio::test]
    async fn kills_of_another_group_in_the_same_history_do_not_count() {
        let mut snapshot = healthy();
        cgroup(&mut snapshot).oom_kills = Some(3);
        let history = trends(&snapshot, "cgroup[/other].oom_kills", &[0.0, 0.0]).await;
        assert_eq!(grade_with(&CGROUP_OOM_KILLS, &snapshot, &history), Some(Info));
    }

    #[tokio::test]
    async fn kills_are_a_warning_for_a_day_and_informational_after_it() {
        let mut snapshot = healthy();
        for (kills, expected) in [(None, None), (Some(0), None), (Some(1), Some(Info))] {
            cgroup(&mut snapshot).oom_kills = kills;
            assert_eq!(grade(&CGROUP_OOM_KILLS, &snapshot), expected, "{kills:?}");
        }
        cgroup(&mut snapshot).oom_kills = Some(3);
        for (before, expected) in [(2.0, Warning), (3.0, Info)] {
            let history =
                trends(&snapshot, &series_of(&mut snapshot.clone(), "oom_kills"), &[before, before]).await;
            assert_eq!(grade_with(&CGROUP_OOM_KILLS, &snapshot, &history), Some(expected), "{before}");
        }
        let path = cgroup(&mut snapshot).path.clone();
        for (group, hours_ago, expected) in
            [(path.as_str(), 23, Warning), (&path, 25, Info), ("/other", 1, Info)]
        {
            let kill = KillInfo {
                group: Some(group.to_owned()),
                seconds_ago: hours_ago * 3600,
                pid: 7,
                process: "python".into(),
            };
            host(&mut snapshot).kills.logged = Some(vec![kill]);
            assert_eq!(grade(&CGROUP_OOM_KILLS, &snapshot), Some(expected), "{group} {hours_ago}");
        }
        host(&mut snapshot).kills.logged = None;
        host(&mut snapshot).uptime_seconds = Some(3600);
        assert_eq!(grade(&CGROUP_OOM_KILLS, &snapshot), Some(Warning), "the machine is younger than a day");
    }
}
