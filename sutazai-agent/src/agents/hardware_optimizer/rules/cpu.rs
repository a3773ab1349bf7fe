//! Rules of the processor.
//!
//! Use alone is no fault: a processor at work is what was paid for. What hurts is work that waits for it, so the rules
//! look at the run queue and the kernel's pressure figures beside the use (saturation in the USE method).

use sutazai_core::domain::CpuMetrics;

use super::bounds::Bounds;
use super::draft::{Draft, Found};
use super::figures::{count, decimal, percent};
use super::rule::{Facts, Rule};

/// Busy share in percent, taken together with the run queue.
const BUSY: Bounds = Bounds::new(90.0, 95.0);
/// Tasks for each processor over one minute: over one of them, some wait (USE method); at four each gets a quarter.
const QUEUE: Bounds = Bounds::new(1.0, 4.0);
/// Tasks for each processor over five minutes: half as many again as can run, and four times as many.
const LOAD: Bounds = Bounds::new(1.5, 4.0);
/// Percent of the last minute in which a task waited for a processor; our choice: a third of the time, most of it.
const PRESSURE: Bounds = Bounds::new(30.0, 80.0);
/// Percent taken by the hypervisor; a tenth is the customary bound for a guest.
const STEAL_BOUNDS: Bounds = Bounds::new(10.0, 25.0);
/// Percent idle with disk requests under way; customary bounds of monitoring checks.
const IOWAIT_BOUNDS: Bounds = Bounds::new(20.0, 50.0);

const RESOURCE: &str = "processor";

/// The processors are busy and more tasks are ready than they can run.
pub(super) const CPU_SATURATION: Rule = Rule {
    name: "cpu_saturation",
    meaning: "The processors are busy almost all the time and tasks that are ready to run have to wait.",
    check: |facts| Vec::from_iter(saturation(facts)),
};

/// The load over five minutes is more than the processors can run, and it is not told as saturation already.
pub(super) const HIGH_LOAD: Rule = Rule {
    name: "high_load",
    meaning: "More tasks want to run or wait for disks than the machine has processors for.",
    check: |facts| Vec::from_iter(load(facts)),
};

/// Tasks wait for a processor a good part of the time.
pub(super) const CPU_PRESSURE: Rule = Rule {
    name: "cpu_pressure",
    meaning: "Tasks lose a large part of their time waiting until a processor is free.",
    check: |facts| Vec::from_iter(pressure(facts)),
};

/// The hypervisor gives processor time to others.
pub(super) const STEAL: Rule = Rule {
    name: "steal",
    meaning: "The host of this virtual machine gives its processor time to other guests.",
    check: |facts| Vec::from_iter(steal(facts)),
};

/// The processors are idle because disks are slow to answer.
pub(super) const IOWAIT: Rule = Rule {
    name: "iowait",
    meaning: "The processors stand idle because the work waits for the disks to answer.",
    check: |facts| Vec::from_iter(iowait(facts)),
};

fn saturation(facts: &Facts<'_>) -> Option<Found> {
    let cpu = cpu(facts)?;
    let cores = f64::from(cpu.cores);
    let (busy, bound) = BUSY.grade(cpu.used_percent)?;
    let (queue, queue_bound) = QUEUE.times(cores).grade(cpu.load[0])?;
    let draft = Draft::new(&CPU_SATURATION, busy.min(queue), RESOURCE)
        .judged("host.cpu.used_percent", cpu.used_percent, "percent", bound)
        .since(facts.trends.over_since("host.cpu.used_percent", bound))
        .judged("host.cpu.load[1]", cpu.load[0], "tasks", queue_bound)
        .context("host.cpu.cores", cores, "count")
        .command("See which processes use the most processor time.", "ps aux --sort=-%cpu | head")
        .advice("Run heavy jobs at another time or with a lower priority.")
        .advice("Give the machine more processors if this is its usual load.");
    Some(draft.says(format!(
        "The processors are {} busy and a load of {} shares {}, so work has to wait.",
        percent(cpu.used_percent),
        decimal(cpu.load[0]),
        processors(cpu),
    )))
}

fn load(facts: &Facts<'_>) -> Option<Found> {
    if saturation(facts).is_some() {
        return None;
    }
    let cpu = cpu(facts)?;
    let (severity, bound) = LOAD.times(f64::from(cpu.cores)).grade(cpu.load[1])?;
    let draft = Draft::new(&HIGH_LOAD, severity, RESOURCE)
        .judged("host.cpu.load[5]", cpu.load[1], "tasks", bound)
        .context("host.cpu.cores", f64::from(cpu.cores), "count")
        .context("host.cpu.used_percent", cpu.used_percent, "percent")
        .command("See which tasks run or wait now.", "ps -eo state,pid,user,comm --sort=state | head -n 30")
        .command("Tell work from waiting for disks.", "vmstat 1 5");
    Some(draft.says(format!(
        "The load over five minutes is {}, high for {}; they are {} busy now.",
        decimal(cpu.load[1]),
        processors(cpu),
        percent(cpu.used_percent),
    )))
}

fn pressure(facts: &Facts<'_>) -> Option<Found> {
    let some = facts.snapshot.pressure.value()?.cpu.some_avg60;
    let (severity, bound) = PRESSURE.grade(some)?;
    let draft = Draft::new(&CPU_PRESSURE, severity, RESOURCE)
        .judged("pressure.cpu.some_avg60", some, "percent", bound)
        .since(facts.trends.over_since("pressure.cpu.some_avg60", bound))
        .command("See which processes use the most processor time.", "ps aux --sort=-%cpu | head")
        .command("Watch the pressure on the processor.", "cat /proc/pressure/cpu")
        .advice("Spread the work over time or over more processors.");
    Some(
        draft.says(format!("Tasks waited for a free processor during {} of the last minute.", percent(some))),
    )
}

fn steal(facts: &Facts<'_>) -> Option<Found> {
    let share = cpu(facts)?.steal_percent;
    let (severity, bound) = STEAL_BOUNDS.grade(share)?;
    let draft = Draft::new(&STEAL, severity, RESOURCE)
        .judged("host.cpu.steal_percent", share, "percent", bound)
        .since(facts.trends.over_since("host.cpu.steal_percent", bound))
        .command("Watch the stolen time over some seconds.", "vmstat 1 5")
        .advice("Ask the provider for a less crowded host or for dedicated processors.");
    Some(
        draft.says(format!("The hypervisor took {} of the processor time for other guests.", percent(share))),
    )
}

fn iowait(facts: &Facts<'_>) -> Option<Found> {
    let share = cpu(facts)?.iowait_percent;
    let (severity, bound) = IOWAIT_BOUNDS.grade(share)?;
    let draft = Draft::new(&IOWAIT, severity, RESOURCE)
        .judged("host.cpu.iowait_percent", share, "percent", bound)
        .since(facts.trends.over_since("host.cpu.iowait_percent", bound))
        .command(
            "See which tasks wait for disks.",
            "ps -eo state,pid,user,wchan,comm --sort=state | head -n 30",
        )
        .command("Watch how busy each disk is, with the package sysstat.", "iostat -x 1 5")
        .advice("Move heavy reading and writing to a faster disk or to another time.");
    Some(draft.says(format!("The processors spent {} of the time idle, waiting for disks.", percent(share))))
}

fn cpu<'a>(facts: &Facts<'a>) -> Option<&'a CpuMetrics> {
    facts.snapshot.host.value().map(|host| &host.cpu).filter(|cpu| cpu.cores > 0)
}

fn processors(cpu: &CpuMetrics) -> String {
    count(u64::from(cpu.cores), "processor", "processors")
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Warning};

    use super::super::rule::tests::grade;
    use super::super::sample::{around, healthy, host, pressure};
    use super::*;

    #[test]
    fn saturation_takes_use_and_a_queue() {
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
            host(&mut snapshot).cpu.used_percent = used;
            host(&mut snapshot).cpu.load[0] = load;
            assert_eq!(grade(&CPU_SATURATION, &snapshot), expected, "{used} {load}");
        }
    }

    /// Four processors stand in the healthy snapshot.
    #[test]
    fn each_share_and_the_load_have_their_bounds() {
        type Set = fn(&mut CpuMetrics, f64);
        let rules: [(&Rule, Set, [f64; 2]); 3] = [
            (&HIGH_LOAD, |cpu, v| cpu.load[1] = v, [6.0, 16.0]),
            (&STEAL, |cpu, v| cpu.steal_percent = v, [10.0, 25.0]),
            (&IOWAIT, |cpu, v| cpu.iowait_percent = v, [20.0, 50.0]),
        ];
        for (rule, set, [warning, critical]) in rules {
            for (value, expected) in around(warning, critical) {
                let mut snapshot = healthy();
                set(&mut host(&mut snapshot).cpu, value);
                assert_eq!(grade(rule, &snapshot), expected, "{} {value}", rule.name);
            }
        }
    }

    #[test]
    fn pressure_has_its_bounds() {
        for (value, expected) in around(30.0, 80.0) {
            let mut snapshot = healthy();
            pressure(&mut snapshot).cpu.some_avg60 = value;
            assert_eq!(grade(&CPU_PRESSURE, &snapshot), expected, "{value}");
        }
    }
}
