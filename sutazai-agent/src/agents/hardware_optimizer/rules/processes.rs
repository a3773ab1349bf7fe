//! Rules of processes: those that ended and were not waited for, those stuck in the kernel, those that stand out.

use chrono::TimeDelta;
use sutazai_core::domain::{HostMetrics, ProcessInfo, Severity};

use super::bounds::{self, Bounds};
use super::draft::{Draft, Found};
use super::figures::{bytes, count, hours, percent};
use super::names::clean_name;
use super::rule::{Facts, Rest, Rule};

/// Ended processes nobody waited for; a few come and go, many are a parent's fault. Our choice.
const ZOMBIES_BOUNDS: Bounds = Bounds::mild(10.0, 100.0);
/// Processes in state D at one instant; a few are normal while disks work. Our choice.
const BLOCKED: Bounds = Bounds::new(5.0, 20.0);
/// A process that only grows: by so much and by such a share in the time that history covers. Our choice.
const GROWN_BYTES: f64 = 64.0 * 1024.0 * 1024.0;
const GROWN_SHARE: f64 = 0.2;
/// Looked at for growth.
const SPAN: TimeDelta = TimeDelta::hours(24);
/// Share of steps that must not fall, so that work that comes and goes is no growth.
const NOT_FALLING: f64 = 0.95;
/// If the free memory lasts for fewer hours at this rate, it is critical (as for disks).
const EXHAUSTED_HOURS: f64 = 4.0;
/// Share of the machine's memory or processors in percent that makes one process stand out.
const HOG: f64 = 50.0;

const LARGEST: (&str, &str) = ("See which processes hold the most memory.", "ps aux --sort=-rss | head");

/// Many processes have ended and were not waited for.
pub(super) const ZOMBIES: Rule = Rule {
    name: "zombies",
    meaning: "Processes have ended but their parent does not take notice, so their numbers stay taken.",
    check: |facts| Vec::from_iter(host(facts).and_then(zombies)),
};

/// Many processes wait in the kernel and cannot be interrupted.
pub(super) const BLOCKED_PROCESSES: Rule = Rule {
    name: "blocked_processes",
    meaning: "Many processes wait inside the kernel, mostly for a disk or a network file system.",
    check: |facts| Vec::from_iter(host(facts).and_then(blocked)),
};

/// A process takes more and more memory.
pub(super) const PROCESS_GROWS: Rule = Rule {
    name: "process_grows",
    meaning: "A process takes more and more memory and gives none back, as a leak does.",
    check: |facts| each(facts, &PROCESS_GROWS, "growing steadily", grows),
};

/// One process holds most of the memory.
pub(super) const PROCESS_HOGS_MEMORY: Rule = Rule {
    name: "process_hogs_memory",
    meaning: "A single process holds more than half of the memory of the machine.",
    check: |facts| each(facts, &PROCESS_HOGS_MEMORY, "holding much memory", hogs_memory),
};

/// One process uses most of the processors.
pub(super) const PROCESS_HOGS_CPU: Rule = Rule {
    name: "process_hogs_cpu",
    meaning: "A single process uses more than half of the processors of the machine.",
    check: |facts| each(facts, &PROCESS_HOGS_CPU, "using much processor time", hogs_cpu),
};

type Judge = fn(&Facts<'_>, &HostMetrics, &ProcessInfo) -> Option<Found>;

fn each(facts: &Facts<'_>, rule: &Rule, are: &'static str, judge: Judge) -> Vec<Found> {
    let Some(host) = host(facts) else { return Vec::new() };
    let found = host.processes.top.iter().filter_map(|process| judge(facts, host, process));
    let rest =
        Rest { metric: "host.processes", things: "processes", are, text: LARGEST.0, command: LARGEST.1 };
    rule.worst(found.collect(), &rest)
}

fn host<'a>(facts: &Facts<'a>) -> Option<&'a HostMetrics> {
    facts.snapshot.host.value().map(Box::as_ref)
}

fn zombies(host: &HostMetrics) -> Option<Found> {
    let zombies = host.processes.zombies;
    let (severity, bound) = ZOMBIES_BOUNDS.grade(f64::from(zombies))?;
    let draft = Draft::new(&ZOMBIES, severity, "processes")
        .judged("host.processes.zombies", f64::from(zombies), "count", bound)
        .command(
            "Find the parents of the ended processes.",
            "ps -eo state,ppid,pid,comm | grep ^Z | sort -k 2",
        )
        .advice("Restart or repair the parent that does not wait for its children.");
    let have = count(u64::from(zombies), "process has", "processes have");
    Some(draft.says(format!("{have} ended without being waited for by a parent.")))
}

fn blocked(host: &HostMetrics) -> Option<Found> {
    let blocked = host.processes.blocked;
    let (severity, bound) = BLOCKED.grade(f64::from(blocked))?;
    let draft = Draft::new(&BLOCKED_PROCESSES, severity, "processes")
        .judged("host.processes.blocked", f64::from(blocked), "count", bound)
        .command("See what the processes wait for.", "ps -eo state,pid,wchan,comm | grep ^D")
        .command("Read what the kernel said about its disks.", "journalctl -k -p warning | tail -n 50")
        .advice("Check the disks and the network file systems that they use.");
    let wait = count(u64::from(blocked), "process waits", "processes wait");
    Some(draft.says(format!("{wait} in the kernel and cannot be interrupted, mostly for a disk.")))
}

fn grows(facts: &Facts<'_>, host: &HostMetrics, process: &ProcessInfo) -> Option<Found> {
    let series = format!("host.processes[{}:{}].memory_bytes", process.name, process.pid);
    let growth = facts.trends.growth(&series, SPAN)?;
    let grown = growth.last - growth.first;
    let steady = growth.not_falling >= NOT_FALLING && growth.per_hour > 0.0;
    if !steady || grown <= GROWN_BYTES || grown <= growth.first * GROWN_SHARE {
        return None;
    }
    let left = host.memory.available_bytes as f64 / growth.per_hour;
    let severity = if left < EXHAUSTED_HOURS { Severity::Critical } else { Severity::Warning };
    let (draft, title) = about(&PROCESS_GROWS, severity, process);
    let bound = GROWN_BYTES.max(growth.first * GROWN_SHARE);
    let draft = draft
        .judged(path(process, "memory_growth"), grown, "bytes", bound)
        .context(path(process, "memory_bytes"), process.memory_bytes as f64, "bytes")
        .context(path(process, "observed_hours"), growth.hours, "hours")
        .command("See how much memory it holds.", format!("grep Rss /proc/{}/status", process.pid))
        .command("See how its memory is divided.", format!("cat /proc/{}/smaps_rollup", process.pid))
        .advice("Plan a restart of the service and look for a leak in it.");
    Some(draft.says(format!(
        "{title} grew by {} in {} without giving any back and holds {} now.",
        bytes(grown),
        hours(growth.hours),
        bytes(process.memory_bytes as f64),
    )))
}

fn hogs_memory(_: &Facts<'_>, host: &HostMetrics, process: &ProcessInfo) -> Option<Found> {
    let share = bounds::percent(process.memory_bytes as f64, host.memory.total_bytes as f64);
    if !share.is_finite() || share <= HOG {
        return None;
    }
    let (draft, title) = about(&PROCESS_HOGS_MEMORY, Severity::Info, process);
    let draft = draft
        .judged(path(process, "memory_percent"), share, "percent", HOG)
        .context(path(process, "memory_bytes"), process.memory_bytes as f64, "bytes")
        .command(LARGEST.0, LARGEST.1)
        .advice("Check that this is what the process is meant to use.");
    Some(draft.says(format!(
        "{title} holds {}, {} of the memory of the machine.",
        bytes(process.memory_bytes as f64),
        percent(share),
    )))
}

fn hogs_cpu(_: &Facts<'_>, host: &HostMetrics, process: &ProcessInfo) -> Option<Found> {
    let share = process.cpu_percent / f64::from(host.cpu.cores);
    if !share.is_finite() || share <= HOG {
        return None;
    }
    let (draft, title) = about(&PROCESS_HOGS_CPU, Severity::Info, process);
    let draft = draft
        .judged(path(process, "machine_percent"), share, "percent", HOG)
        .context(path(process, "cpu_percent"), process.cpu_percent, "percent")
        .command("See what its threads do.", format!("top -H -b -n 1 -p {} | head -n 30", process.pid))
        .advice("Check that this is what the process is meant to do.");
    Some(draft.says(format!("{title} uses {} of the processors of the machine.", percent(share))))
}

/// A draft about the process, and how a sentence begins with it.
fn about(rule: &Rule, severity: Severity, process: &ProcessInfo) -> (Draft, String) {
    let name = clean_name(&process.name);
    let draft = Draft::new(rule, severity, format!("process {name} ({})", process.pid));
    (draft.about(&process.pid.to_string()), format!("Process {name} ({})", process.pid))
}

fn path(process: &ProcessInfo, figure: &str) -> String {
    format!("host.processes[{}:{}].{figure}", clean_name(&process.name), process.pid)
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Info, Warning};
    use sutazai_core::domain::Snapshot;

    use super::super::rule::tests::{grade, grade_with};
    use super::super::sample::{healthy, host};
    use super::super::trends::tests::trends;
    use super::*;

    #[test]
    fn counts_of_states_have_their_bounds() {
        for (zombies, expected) in
            [(0, None), (10, None), (11, Some(Info)), (100, Some(Info)), (101, Some(Warning))]
        {
            let mut snapshot = healthy();
            host(&mut snapshot).processes.zombies = zombies;
            assert_eq!(grade(&ZOMBIES, &snapshot), expected, "{zombies}");
        }
        for (blocked, expected) in
            [(0, None), (5, None), (6, Some(Warning)), (20, Some(Warning)), (21, Some(Critical))]
        {
            let mut snapshot = healthy();
            host(&mut snapshot).processes.blocked = blocked;
            assert_eq!(grade(&BLOCKED_PROCESSES, &snapshot), expected, "{blocked}");
        }
    }

    /// Memory in MiB in twenty steps of five minutes, against what is available.
    async fn growing(mib: impl Fn(u32) -> f64, available_mib: u64) -> Option<Severity> {
        let mut snapshot: Snapshot = healthy();
        host(&mut snapshot).memory.available_bytes = available_mib << 20;
        let process = &host(&mut snapshot).processes.top[0];
        let series = format!("host.processes[{}:{}].memory_bytes", process.name, process.pid);
        let values: Vec<f64> = (0..21).map(|n| mib(n) * 1_048_576.0).collect();
        let trends = trends(&snapshot, &series, &values).await;
        grade_with(&PROCESS_GROWS, &snapshot, &trends)
    }

    #[tokio::test]
    async fn only_steady_growth_by_enough_counts() {
        let by = |start: f64, total: f64| move |n: u32| start + f64::from(n) * total / 20.0;
        assert_eq!(growing(by(100.0, 64.0), 100_000).await, None, "not over 64 MiB");
        assert_eq!(growing(by(100.0, 65.0), 100_000).await, Some(Warning));
        assert_eq!(growing(by(1000.0, 200.0), 100_000).await, None, "not over a fifth");
        assert_eq!(growing(by(1000.0, 201.0), 100_000).await, Some(Warning));
        assert_eq!(growing(by(100.0, 120.0), 289).await, Some(Warning), "lasts four hours");
        assert_eq!(growing(by(100.0, 120.0), 287).await, Some(Critical));
        // Of twenty steps one may fall, for two it gives memory back.
        let dips = |at: &'static [u32]| {
            move |n: u32| 100.0 + f64::from(n) * 10.0 - if at.contains(&n) { 30.0 } else { 0.0 }
        };
        assert_eq!(growing(dips(&[5]), 100_000).await, Some(Warning));
        assert_eq!(growing(dips(&[5, 9]), 100_000).await, None);
        assert_eq!(growing(|_| 500.0, 100_000).await, None);
    }

    #[test]
    fn one_process_stands_out_over_half_of_the_machine() {
        for (percent, expected) in [(50, None), (51, Some(Info))] {
            let mut snapshot = healthy();
            let total = host(&mut snapshot).memory.total_bytes;
            host(&mut snapshot).processes.top[0].memory_bytes = total / 100 * percent;
            assert_eq!(grade(&PROCESS_HOGS_MEMORY, &snapshot), expected, "{percent}");
        }
        // Four processors stand in the healthy snapshot.
        for (percent, expected) in [(200.0, None), (200.4, Some(Info)), (f64::NAN, None)] {
            let mut snapshot = healthy();
            host(&mut snapshot).processes.top[0].cpu_percent = percent;
            assert_eq!(grade(&PROCESS_HOGS_CPU, &snapshot), expected, "{percent}");
        }
    }
}
