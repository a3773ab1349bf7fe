//! Rules about the processor.
//!
//! High use alone is no fault. Harm comes from tasks that wait, so the rules look at the run queue and the kernel's
//! pressure figures in addition to the use (saturation in the USE method). The kernel's own means over a minute are
//! used as they are. A share of the time between two readings, which may be a quarter of a second, must be seen at two
//! readings, and over a second or more to be critical.

use sutazai_core::domain::{CpuMetrics, Severity};

use super::bounds::Bounds;
use super::draft::{Draft, Found};
use super::figures::{count, decimal, percent};
use super::judged::Judged;
use super::rule::{Facts, Rule};
use super::sustained::{self, Seen};

/// Busy share in percent, judged together with the run queue.
const BUSY: Bounds = Bounds::new(90.0, 95.0);
/// Tasks per processor over one minute: above one, some wait (USE method); at four, each gets a quarter.
const QUEUE: Bounds = Bounds::new(1.0, 4.0);
/// Tasks per processor over five minutes: one and a half times as many as can run, and four times as many.
const LOAD: Bounds = Bounds::new(1.5, 4.0);
/// Percent of the last minute in which a task waited for a processor; our choice: a third of the time, most of it.
const PRESSURE: Bounds = Bounds::new(30.0, 80.0);
/// Percent of the time taken by the hypervisor; a tenth is the usual threshold for a guest.
const STEAL_BOUNDS: Bounds = Bounds::new(10.0, 25.0);
/// Percent of the time idle with pending disk requests; usual thresholds of monitoring checks.
const IOWAIT_BOUNDS: Bounds = Bounds::new(20.0, 50.0);

/// Busy share in percent below which a high load points to disks; our choice.
const LOW_USE_PERCENT: f64 = 50.0;

const RESOURCE: &str = "processor";
/// Metric path of the number of processors.
const CORES: &str = "host.cpu.cores";
/// Metric path of the length of the latest reading.
const INTERVAL: &str = "host.cpu.interval_seconds";
const LARGEST: (&str, &str) =
    ("See which processes use the most processor time.", "ps aux --sort=-%cpu | head");

/// Reports busy processors for which more tasks are ready than they can run.
pub(super) const CPU_SATURATION: Rule = Rule {
    name: "cpu_saturation",
    title: "Processor saturation",
    meaning: "Busy, and more tasks than processors. Both must hold.",
    conditions: [
        "",
        "over 90 % busy, and load over one minute over 1 for each processor",
        "over 95 %, and over 4 for each",
    ],
    source: "USE method: a run queue longer than the number of processors is saturation; the rest is ours",
    judged: &[
        Judged::percent("host.cpu.used_percent", BUSY.levels()),
        Judged::above("host.cpu.load[1]", "tasks", QUEUE.levels()).times(CORES),
    ],
    needs: &["host.cpu.used_percent", "host.cpu.load"],
    check: |facts| Vec::from_iter(saturation(facts)),
};

/// Reports a load over five minutes beyond what the processors can run, unless it is reported as saturation.
pub(super) const HIGH_LOAD: Rule = Rule {
    name: "high_load",
    title: "Load",
    meaning: "More tasks run or wait for disks than there are processors for (Linux counts both in the \
              load). Left out where `cpu_saturation` reports it already.",
    conditions: ["", "load over five minutes over 1.5 for each processor", "over 4"],
    source: "Ours",
    judged: &[Judged::above("host.cpu.load[5]", "tasks", LOAD.levels()).times(CORES)],
    needs: &["host.cpu.load"],
    check: |facts| Vec::from_iter(load(facts)),
};

/// Reports tasks that wait for a processor a good part of the time.
pub(super) const CPU_PRESSURE: Rule = Rule {
    name: "cpu_pressure",
    title: "Processor pressure",
    meaning: "Tasks wait for a processor.",
    conditions: ["", "a task stalled over 30 % of the last minute", "over 80 %"],
    source: "Figures of the kernel's `psi.rst`; the bounds are ours",
    judged: &[Judged::percent("pressure.cpu.some_avg60", PRESSURE.levels())],
    needs: &["pressure.cpu"],
    check: |facts| Vec::from_iter(pressure(facts)),
};

/// Reports processor time that the hypervisor gives to others.
pub(super) const STEAL: Rule = Rule {
    name: "steal",
    title: "Processor time taken by the hypervisor",
    meaning: "The hypervisor gives the time to other guests. Seen at two readings or more.",
    conditions: ["", "over 10 %", "over 25 %, and for a second or more"],
    source: "A tenth is the customary bound for guests; the readings are ours",
    judged: &[Judged::percent("host.cpu.steal_percent", STEAL_BOUNDS.levels())],
    needs: &["host.cpu.steal_percent"],
    check: |facts| Vec::from_iter(steal(facts)),
};

/// Reports processors that are idle because disks respond slowly.
pub(super) const IOWAIT: Rule = Rule {
    name: "iowait",
    title: "Processors waiting for disks",
    meaning: "Idle with disk requests under way. Seen at two readings or more.",
    conditions: ["", "over 20 %", "over 50 %, and for a second or more"],
    source: "Customary bounds of monitoring checks; the readings are ours",
    judged: &[Judged::percent("host.cpu.iowait_percent", IOWAIT_BOUNDS.levels())],
    needs: &["host.cpu.iowait_percent"],
    check: |facts| Vec::from_iter(iowait(facts)),
};

fn saturation(facts: &Facts<'_>) -> Option<Found> {
    let cpu = cpu(facts)?;
    let cores = f64::from(cpu.cores);
    let used_percent = cpu.used_percent?;
    let [load, _, _] = cpu.load?;
    facts.look();
    let (busy, bound) = BUSY.grade(used_percent)?;
    let (queue, queue_bound) = QUEUE.times(cores).grade(load)?;
    let (used, tasks, processors) = (percent(used_percent), decimal(load), processors(cpu));
    let found = Draft::new(&CPU_SATURATION, busy.min(queue), RESOURCE)
        .judged("host.cpu.used_percent", used_percent, "percent", bound)
        .since(facts.trends.over_since("host.cpu.used_percent", bound))
        .judged("host.cpu.load[1]", load, "tasks", queue_bound)
        .context(CORES, cores, "count")
        .context(INTERVAL, cpu.interval_seconds, "seconds")
        .statements([
            format!("Processor use is at {used}, and a load of {tasks} competes for {processors}."),
            format!("With a load of {tasks} on {processors}, processor use is at {used}."),
            format!("Processor use is at {used}; the load of {tasks} is more than {processors} can run at once."),
        ])
        .consequences(&[
            "Tasks get only a part of the processor time that they ask for.",
            "Requests [take longer|are delayed] because tasks wait for a free processor.",
            "Any further work slows down what already runs.",
        ])
        .command(
            LARGEST.0,
            LARGEST.1,
            "Run {command} to see which processes use the most processor time, and check whether they have to run now.",
        )
        .command(
            "Watch how many tasks wait for a processor.",
            "vmstat 1 5",
            "Run {command} and look at the column r: values above the number of processors mean that tasks wait.",
        )
        .remedy("Run heavy jobs at a quieter time or with a lower priority.")
        .advice("Limit the workers or threads of the busiest service to the number of processors.")
        .advice("Give the machine more processors if this is its normal load.")
        .finish("the processor is overloaded");
    Some(found)
}

fn load(facts: &Facts<'_>) -> Option<Found> {
    let cpu = cpu(facts)?;
    let [_, load, _] = cpu.load?;
    facts.look();
    // A copy, because what the other rule looks at does not count here.
    if saturation(&facts.clone()).is_some() {
        return None;
    }
    let (severity, bound) = LOAD.times(f64::from(cpu.cores)).grade(load)?;
    let (tasks, processors) = (decimal(load), processors(cpu));
    let used_percent = cpu.used_percent.filter(|used| used.is_finite());
    let cause = if used_percent.is_some_and(|used| used < LOW_USE_PERCENT) {
        "A high load while the processors are partly idle often means that tasks wait for disks or network storage."
    } else {
        "Tasks take longer when more of them are active than the processors can run at once."
    };
    let draft = Draft::new(&HIGH_LOAD, severity, RESOURCE)
        .judged("host.cpu.load[5]", load, "tasks", bound)
        .context(CORES, f64::from(cpu.cores), "count");
    let draft = match used_percent {
        Some(used_percent) => {
            let used = percent(used_percent);
            draft
                .context("host.cpu.used_percent", used_percent, "percent")
                .context(INTERVAL, cpu.interval_seconds, "seconds")
                .statements([format!(
                    "The load over five minutes is {tasks} on {processors}, and processor use is at {used} now."
                )])
        }
        None => draft,
    };
    let found = draft
        .statements([
            format!("Over five minutes, an average of {tasks} tasks ran or waited on {processors}."),
            format!("A load of {tasks} over five minutes is more than {processors} can handle at once."),
        ])
        .consequences(&[
            cause,
            "Linux also counts tasks that wait for a disk, so slow storage raises the load.",
            "Services may answer slowly while the load stays this high.",
        ])
        .command(
            "See which tasks run or wait now.",
            "ps -eo state,pid,user,comm | grep '^[DR]'",
            "Run {command} to see which tasks wait for a disk (state D) and which ones run (state R).",
        )
        .command(
            "See whether tasks wait for processors or for disks.",
            "vmstat 1 5",
            "Run {command} and compare the columns r and b: a high r points to the processors, a high b to the disks.",
        )
        .remedy("Spread heavy jobs over time, so that fewer of them run together.")
        .advice("If most tasks wait for disks, look for slow or failing storage before adding processors.")
        .finish("the load is high");
    Some(found)
}

fn pressure(facts: &Facts<'_>) -> Option<Found> {
    const PATH: &str = "pressure.cpu.some_avg60";
    let some = facts.snapshot.pressure.value()?.cpu.as_ref()?.some_avg60;
    facts.look();
    let (severity, bound) = PRESSURE.grade(some)?;
    let share = percent(some);
    let extent = match severity {
        Severity::Critical => "For most of the time, at least one task cannot run when it should.",
        _ => "For a good part of the time, at least one task cannot run when it should.",
    };
    let found = Draft::new(&CPU_PRESSURE, severity, RESOURCE)
        .judged(PATH, some, "percent", bound)
        .since(facts.trends.over_since(PATH, bound))
        .statements([
            format!("Tasks waited for a free processor during {share} of the last minute."),
            format!("At least one task was ready to run but had no processor for {share} of the last minute."),
            format!("For {share} of the last minute, work was delayed because no processor was free for it."),
        ])
        .consequences(&[
            "Services [answer more slowly|take longer to answer] because their work waits for a processor.",
            extent,
            "Short tasks are delayed as well as long ones.",
        ])
        .command(
            LARGEST.0,
            LARGEST.1,
            "Run {command} to see which processes use the most processor time, and check whether they have to run now.",
        )
        .command(
            "Watch the pressure on the processor.",
            "cat /proc/pressure/cpu",
            "Run {command} a few times to see whether the pressure rises or falls.",
        )
        .remedy("Spread the work over time or over more processors.")
        .advice("Give background jobs a lower priority, so that services run first.")
        .finish("tasks wait for a processor");
    Some(found)
}

/// Grades a share of processor time that was seen at each of the last readings.
fn sustained(facts: &Facts<'_>, bounds: Bounds, series: &str, share: f64) -> Option<Seen> {
    let interval = cpu(facts)?.interval_seconds;
    let seen = sustained::judge(facts, bounds, &facts.readings(series, share), interval)?;
    Some(seen).filter(|seen| !seen.is_single())
}

/// Starts a draft with the share, its bound and the number of readings.
fn draft(facts: &Facts<'_>, seen: &Seen, rule: &Rule, path: &str, share: f64) -> Draft {
    let draft = Draft::new(rule, seen.severity, RESOURCE)
        .judged(path, share, "percent", seen.bound)
        .since(facts.trends.over_since(path, seen.bound));
    seen.context(draft, "host.cpu")
}

fn steal(facts: &Facts<'_>) -> Option<Found> {
    const PATH: &str = "host.cpu.steal_percent";
    let steal = cpu(facts)?.steal_percent?;
    let seen = sustained(facts, STEAL_BOUNDS, PATH, steal)?;
    let share = percent(steal);
    let found = draft(facts, &seen, &STEAL, PATH, steal)
        .statements([
            format!("The hypervisor withheld {share} of the processor time from this machine."),
            format!("This virtual machine was ready to run but had to wait for its host {share} of the time."),
            format!("Steal time is at {share}: the host did not give this machine all the processor time it needed."),
        ])
        .consequences(&[
            "Programs run more slowly than the number of processors [suggests|would allow].",
            "Usually the host is crowded, or the machine has exceeded the processor time of its plan.",
            "Changes inside this machine do not remove the cause, which lies on the host.",
        ])
        .command(
            "Watch the stolen time over some seconds.",
            "vmstat 1 5",
            "Run {command} and watch the column st to see whether the steal time lasts.",
        )
        .remedy("Ask the provider for a less crowded host or for dedicated processors.")
        .advice("Check whether the plan of this machine limits processor time, as burstable plans do.")
        .advice("Move heavy jobs to a time at which the host is less busy.")
        .finish("the hypervisor withholds processor time");
    Some(found)
}

fn iowait(facts: &Facts<'_>) -> Option<Found> {
    const PATH: &str = "host.cpu.iowait_percent";
    let waiting = cpu(facts)?.iowait_percent?;
    let seen = sustained(facts, IOWAIT_BOUNDS, PATH, waiting)?;
    let share = percent(waiting);
    let found = draft(facts, &seen, &IOWAIT, PATH, waiting)
        .statements([
            format!("The machine spent {share} of its processor time idle, waiting for disks."),
            format!("Disk requests kept the processors waiting for {share} of the time."),
            format!("I/O wait is at {share}: processors were idle while disk requests were pending."),
        ])
        .consequences(&[
            "Programs that read or write files have to wait for the disks.",
            "Faster processors do not help while the disks are the [limit|bottleneck].",
            "A slow disk delays every program that uses it.",
        ])
        .command(
            "See which tasks wait for disks.",
            "ps -eo state,pid,user,wchan,comm | grep ^D",
            "Run {command} to see which tasks wait for a disk (state D); the fourth column shows what they wait for.",
        )
        .command(
            "Watch how busy each disk is, with the package sysstat.",
            "iostat -x 1 5",
            "Run {command} (package sysstat) to see which disk is busy and how long its requests wait.",
        )
        .remedy("Move heavy reading and writing to a faster disk or to a quieter time.")
        .advice("Check the health of the disk if its requests wait long although it has little to do.")
        .advice("Add memory if the same files are read again and again, so that they can stay in the cache.")
        .finish("the processors wait for disks");
    Some(found)
}

fn cpu<'a>(facts: &Facts<'a>) -> Option<&'a CpuMetrics> {
    facts.snapshot.host.value().map(|host| &host.cpu).filter(|cpu| cpu.cores > 0)
}

fn processors(cpu: &CpuMetrics) -> String {
    count(u64::from(cpu.cores), "processor", "processors")
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::EarlierValue;
    use sutazai_core::domain::Severity::{Critical, Warning};

    use super::super::rule::tests::grade;
    use super::super::sample::{around, healthy, host, pressure};
    use super::super::trends::Trends;
    use super::*;

    #[test]
    fn saturation_needs_high_use_and_a_queue() {
        for (used, load, expected) in [
            (100.0, 4.0, None),
            (100.0, 4.01, Some(Warning)),
            (100.0, 16.0, Some(Warning)),
            (100.0, 16.1, Some(Critical)),
            (90.0, 50.0, None),
            (90.1, 50.0, Some(Warning)),
            (95.0, 50.0, Some(Warning)),
            (95.1, 50.0, Some(Critical)),
        ] {
            let mut snapshot = healthy();
            host(&mut snapshot).cpu.used_percent = Some(used);
            host(&mut snapshot).cpu.load = Some([load, 0.5, 0.4]);
            assert_eq!(grade(&CPU_SATURATION, &snapshot), expected, "{used} {load}");
        }
    }

    #[test]
    fn unknown_load_is_not_judged() {
        for (load, expected) in [(Some([40.0, 30.0, 20.0]), [Some(Critical), None]), (None, [None, None])] {
            let mut snapshot = healthy();
            let cpu = &mut host(&mut snapshot).cpu;
            (cpu.used_percent, cpu.load) = (Some(99.0), load);
            assert_eq!([&CPU_SATURATION, &HIGH_LOAD].map(|rule| grade(rule, &snapshot)), expected);
        }
    }

    /// The healthy snapshot has four processors.
    #[test]
    fn shares_and_load_are_graded_by_bounds() {
        type Set = fn(&mut CpuMetrics, f64);
        let rules: [(&Rule, Set, &str, [f64; 2]); 3] = [
            (&HIGH_LOAD, |cpu, v| cpu.load = Some([0.4, v, 0.4]), "", [6.0, 16.0]),
            (&STEAL, |cpu, v| cpu.steal_percent = Some(v), "host.cpu.steal_percent", [10.0, 25.0]),
            (&IOWAIT, |cpu, v| cpu.iowait_percent = Some(v), "host.cpu.iowait_percent", [20.0, 50.0]),
        ];
        for (rule, set, series, [warning, critical]) in rules {
            for (value, expected) in around(warning, critical) {
                let mut snapshot = healthy();
                set(&mut host(&mut snapshot).cpu, value);
                host(&mut snapshot).earlier = vec![earlier(series, 1.0, value)];
                assert_eq!(grade(rule, &snapshot), expected, "{} {value}", rule.name);
            }
        }
    }

    fn earlier(series: &str, seconds_ago: f64, value: f64) -> EarlierValue {
        EarlierValue { series: series.into(), seconds_ago, value }
    }

    /// Readings of a quarter of a second, as `analyze` takes them without history.
    #[test]
    fn single_reading_is_ignored_and_half_a_second_is_not_critical() {
        const STEAL_SERIES: &str = "host.cpu.steal_percent";
        const IOWAIT_SERIES: &str = "host.cpu.iowait_percent";
        type Set = fn(&mut CpuMetrics, f64);
        let rules: [(&Rule, Set, &str); 2] = [
            (&STEAL, |cpu, v| cpu.steal_percent = Some(v), STEAL_SERIES),
            (&IOWAIT, |cpu, v| cpu.iowait_percent = Some(v), IOWAIT_SERIES),
        ];
        for (rule, set, series) in rules {
            for (before, interval, expected) in [
                (vec![], 0.25, None),
                (vec![], 60.0, None),
                (vec![(0.25, 5.0)], 0.25, None),
                (vec![(0.25, 90.0)], 0.25, Some(Warning)),
                (vec![(0.5, 90.0), (0.25, 90.0)], 0.49, Some(Warning)),
                (vec![(0.5, 90.0), (0.25, 90.0)], 0.5, Some(Critical)),
                (vec![(60.0, 90.0)], 60.0, Some(Critical)),
                (vec![(60.0, 22.0)], 60.0, Some(Warning)),
            ] {
                let mut snapshot = healthy();
                set(&mut host(&mut snapshot).cpu, 90.0);
                host(&mut snapshot).cpu.interval_seconds = interval;
                host(&mut snapshot).earlier =
                    before.iter().map(|(ago, value)| earlier(series, *ago, *value)).collect();
                assert_eq!(grade(rule, &snapshot), expected, "{} {before:?} {interval}", rule.name);
            }
        }
    }

    #[test]
    fn length_of_the_reading_is_in_the_evidence() {
        let mut snapshot = healthy();
        let machine = host(&mut snapshot);
        (machine.cpu.used_percent, machine.cpu.load) = (Some(99.0), Some([40.0, 30.0, 20.0]));
        (machine.cpu.steal_percent, machine.cpu.iowait_percent) = (Some(50.0), Some(60.0));
        machine.cpu.interval_seconds = 0.25;
        machine.earlier =
            ["steal", "iowait"].map(|kind| earlier(&format!("host.cpu.{kind}_percent"), 0.25, 70.0)).into();
        let no_trends = Trends::default();
        let facts = Facts::new(&snapshot, &no_trends);
        for (rule, metric, seconds) in [
            (&CPU_SATURATION, INTERVAL, 0.25),
            (&STEAL, "host.cpu.observed_seconds", 0.5),
            (&IOWAIT, "host.cpu.observed_seconds", 0.5),
        ] {
            let found = (rule.check)(&facts).remove(0).finding;
            let length = found.evidence.iter().find(|one| one.metric == metric).map(|one| one.value);
            assert_eq!(length, Some(seconds), "{}", rule.name);
        }
    }

    #[test]
    fn pressure_is_graded_by_bounds() {
        for (value, expected) in around(30.0, 80.0) {
            let mut snapshot = healthy();
            pressure(&mut snapshot).cpu.some_avg60 = value;
            assert_eq!(grade(&CPU_PRESSURE, &snapshot), expected, "{value}");
        }
    }
}
