//! Rules of the control group that this process lives in: a container or a service with limits of its own.

use sutazai_core::domain::{CgroupMetrics, Severity};

use super::bounds::{self, Bounds};
use super::draft::{Draft, Found};
use super::figures::{bytes, count, decimal, percent};
use super::rule::{Facts, Rule};

/// Throttled periods in percent of all: the Kubernetes monitoring mixin alerts at 25 %.
const THROTTLED: Bounds = Bounds::new(25.0, 75.0);
/// Fewer periods (a tenth of a second each) say nothing.
const LEAST_PERIODS: u64 = 100;
/// Used share of the memory limit in percent; our choice, a little before a customary 90 %.
const MEMORY: Bounds = Bounds::new(85.0, 95.0);
/// Used share of the process limit in percent; customary bounds of monitoring checks.
const PIDS: Bounds = Bounds::new(80.0, 95.0);

const RESOURCE: &str = "control group";
const MEMBERSHIP: (&str, &str, &str) = (
    "See the path of the control group.",
    "cat /proc/self/cgroup",
    "Run {command} in the same container or service to see the path of its control group.",
);
const TOP: (&str, &str) = ("See what each control group uses.", "systemd-cgtop -b -n 1");

/// The group is held back by its processor limit.
pub(super) const CPU_THROTTLED: Rule =
    Rule { name: "cpu_throttled", check: |facts| Vec::from_iter(group(facts).and_then(throttled)) };

/// The group is near its memory limit.
pub(super) const CGROUP_MEMORY_NEAR_LIMIT: Rule = Rule {
    name: "cgroup_memory_near_limit",
    check: |facts| Vec::from_iter(group(facts).and_then(|group| memory(facts, group))),
};

/// Processes of the group were killed at its memory limit.
pub(super) const CGROUP_OOM_KILLS: Rule =
    Rule { name: "cgroup_oom_kills", check: |facts| Vec::from_iter(group(facts).and_then(oom_kills)) };

/// The group may start few more processes.
pub(super) const PIDS_NEAR_LIMIT: Rule =
    Rule { name: "pids_near_limit", check: |facts| Vec::from_iter(group(facts).and_then(pids)) };

fn group<'a>(facts: &Facts<'a>) -> Option<&'a CgroupMetrics> {
    facts.snapshot.cgroup.value()
}

fn throttled(group: &CgroupMetrics) -> Option<Found> {
    let periods = group.periods.filter(|periods| *periods >= LEAST_PERIODS)?;
    let throttled = group.throttled_periods?;
    let share = bounds::percent(throttled as f64, periods as f64);
    let (severity, bound) = THROTTLED.grade(share)?;
    let mut draft = Draft::new(&CPU_THROTTLED, severity, RESOURCE)
        .judged("cgroup.throttled_percent", share, "percent", bound)
        .context("cgroup.throttled_periods", throttled as f64, "count")
        .context("cgroup.periods", periods as f64, "count");
    let mut limit = String::new();
    if let Some(cores) = group.cpu_limit_cores {
        draft = draft.context("cgroup.cpu_limit_cores", cores, "cores");
        limit = format!(" of {} {}", decimal(cores), if cores == 1.0 { "core" } else { "cores" });
    }
    let share = percent(share);
    let found = draft
        .statements([
            format!(
                "The processor limit{limit} stopped the control group in {share} of its scheduling periods."
            ),
            format!(
                "The control group was throttled in {throttled} of {periods} scheduling periods ({share})."
            ),
            format!(
                "In {share} of its scheduling periods, the control group used up its processor limit{limit}."
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

fn memory(facts: &Facts<'_>, group: &CgroupMetrics) -> Option<Found> {
    // Over `memory.high` the kernel kills nothing, but holds the group back.
    let high =
        group.memory_high_bytes.filter(|high| group.memory_limit_bytes.is_none_or(|limit| *high < limit));
    let figure = if high.is_some() { "memory_high_bytes" } else { "memory_limit_bytes" };
    let (used, limit) = (group.memory_used_bytes? as f64, high.or(group.memory_limit_bytes)? as f64);
    let share = bounds::percent(used, limit);
    let (severity, bound) = MEMORY.grade(share)?;
    let severity = if high.is_some() { Severity::Warning } else { severity };
    let draft = Draft::new(&CGROUP_MEMORY_NEAR_LIMIT, severity, RESOURCE)
        .judged("cgroup.memory_used_percent", share, "percent", bound)
        .since(facts.trends.over_since("cgroup.memory_used_bytes", bound / 100.0 * limit))
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

fn oom_kills(group: &CgroupMetrics) -> Option<Found> {
    let kills = group.oom_kills.filter(|kills| *kills > 0)?;
    let killed = count(kills, "process", "processes");
    let were = if kills == 1 { "was" } else { "were" };
    let found = Draft::new(&CGROUP_OOM_KILLS, Severity::Warning, RESOURCE)
        .judged("cgroup.oom_kills", kills as f64, "count", 0.0)
        .statements([
            format!("The kernel killed {killed} because the control group reached its memory limit."),
            format!("In the control group, {killed} {were} killed at the memory limit."),
            format!(
                "So far, the memory limit of the control group has led to {}.",
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

fn pids(group: &CgroupMetrics) -> Option<Found> {
    let (used, limit) = (group.pids? as f64, group.pids_limit? as f64);
    let share = bounds::percent(used, limit);
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
    use sutazai_core::domain::Severity::{Critical, Warning};

    use super::super::rule::tests::grade;
    use super::super::sample::{cgroup, healthy};
    use super::*;

    #[test]
    fn throttling_is_a_share_of_enough_periods() {
        for (throttled, periods, expected) in [
            (250, 1000, None),
            (251, 1000, Some(Warning)),
            (750, 1000, Some(Warning)),
            (751, 1000, Some(Critical)),
            (99, 99, None),
            (100, 100, Some(Critical)),
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

    #[test]
    fn shares_of_the_limits_have_their_bounds() {
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
    fn memory_high_is_a_limit_that_kills_nothing() {
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

    #[test]
    fn one_kill_is_a_warning() {
        for (kills, expected) in [(None, None), (Some(0), None), (Some(1), Some(Warning))] {
            let mut snapshot = healthy();
            cgroup(&mut snapshot).oom_kills = kills;
            assert_eq!(grade(&CGROUP_OOM_KILLS, &snapshot), expected, "{kills:?}");
        }
    }
}
