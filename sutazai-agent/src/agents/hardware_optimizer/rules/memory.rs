//! Rules of main memory.
//!
//! Full memory is no fault by itself: the kernel fills what is free with file contents it can drop. What hurts is work
//! that waits for memory and processes that are killed.

use chrono::TimeDelta;
use sutazai_core::domain::Severity;

use super::bounds::Bounds;
use super::draft::{Draft, Found};
use super::figures::{bytes, count, percent, sentence_case};
use super::rule::{Facts, Rule};

/// Percent of the last minute in which a task waited for memory (the example trigger of the kernel's `psi.rst`: 150 ms
/// in a second).
const PRESSURE_SOME: f64 = 15.0;
/// Percent of the last minute in which all tasks waited: half of where systemd-oomd begins to kill (60 %).
const PRESSURE_FULL: f64 = 30.0;
/// Used share in percent, `MemAvailable` counted as free; customary bounds of monitoring checks.
pub(super) const USED: Bounds = Bounds::new(90.0, 95.0);
/// Kills within this time mean that memory is short now.
const KILLED_NOW: TimeDelta = TimeDelta::hours(1);
/// Kills within this time are recent.
const KILLED_LATELY: TimeDelta = TimeDelta::hours(24);

const RESOURCE: &str = "memory";
/// The remedy that shows the largest processes, and its command.
pub(super) const LARGEST: (&str, &str) =
    ("See which processes hold the most memory.", "ps aux --sort=-rss | head");

/// Work waits for memory.
pub(super) const MEMORY_PRESSURE: Rule =
    Rule { name: "memory_pressure", check: |facts| Vec::from_iter(pressure(facts)) };

/// Little memory is left.
pub(super) const MEMORY_LOW: Rule = Rule { name: "memory_low", check: |facts| Vec::from_iter(low(facts)) };

/// The kernel killed processes because memory ran out.
pub(super) const OOM_KILLS: Rule =
    Rule { name: "oom_kills", check: |facts| Vec::from_iter(oom_kills(facts)) };

fn pressure(facts: &Facts<'_>) -> Option<Found> {
    const SOME_PATH: &str = "pressure.memory.some_avg60";
    let memory = &facts.snapshot.pressure.value()?.memory;
    let some = memory.some_avg60;
    let full = memory.full_avg60.filter(|full| full.is_finite() && *full > PRESSURE_FULL);
    let (draft, headline) = match full {
        Some(full) => {
            let (some_share, full_share) = (percent(some), percent(full));
            let draft = Draft::new(&MEMORY_PRESSURE, Severity::Critical, RESOURCE)
                .judged("pressure.memory.full_avg60", full, "percent", PRESSURE_FULL)
                .context(SOME_PATH, some, "percent")
                .statements([
                    format!("All active tasks waited for memory during {full_share} of the last minute."),
                    format!("For {full_share} of the last minute, no active task made progress for lack of memory."),
                    format!(
                        "At least one task waited for memory during {some_share} of the last minute, and all \
                         active tasks did during {full_share} of it."
                    ),
                ])
                .consequences(&[
                    "The whole machine [responds slowly|becomes slow] while the kernel frees memory.",
                    "If the shortage continues, the kernel may kill processes to free memory.",
                ]);
            (draft, "work stalls for lack of memory")
        }
        None if some.is_finite() && some > PRESSURE_SOME => {
            let share = percent(some);
            let draft = Draft::new(&MEMORY_PRESSURE, Severity::Warning, RESOURCE)
                .judged(SOME_PATH, some, "percent", PRESSURE_SOME)
                .since(facts.trends.over_since(SOME_PATH, PRESSURE_SOME))
                .statements([
                    format!("Tasks waited for memory during {share} of the last minute."),
                    format!(
                        "At least one task was held up by a lack of memory for {share} of the last minute."
                    ),
                    format!("For {share} of the last minute, work was delayed because memory was short."),
                ])
                .consequences(&[
                    "Programs [run more slowly|slow down] while the kernel frees memory for them.",
                    "Services answer more slowly because a part of their time is spent waiting for memory.",
                    "If memory runs out completely, the kernel may kill processes.",
                ]);
            (draft, "tasks wait for memory")
        }
        None => return None,
    };
    let found = draft
        .command(
            LARGEST.0,
            LARGEST.1,
            "Run {command} to see which processes hold the most memory, and check whether the largest ones need \
             that much.",
        )
        .command(
            "Watch the pressure on memory.",
            "cat /proc/pressure/memory",
            "Run {command} a few times, and run less work at the same time if the values keep rising.",
        )
        .remedy("Set a memory limit for the largest services, so that they cannot slow down the others.")
        .advice("Move large jobs to a quieter time or to another machine.")
        .advice("Add memory to the machine if the shortage returns under normal load.")
        .finish(headline);
    Some(found)
}

fn low(facts: &Facts<'_>) -> Option<Found> {
    let memory = &facts.snapshot.host.value()?.memory;
    let (severity, bound) = USED.grade(memory.used_percent)?;
    let waiting = facts.snapshot.pressure.value().map(|pressure| pressure.memory.some_avg10);
    let calm = waiting.is_some_and(|some| some <= PRESSURE_SOME);
    let (used, available, total) = (
        percent(memory.used_percent),
        bytes(memory.available_bytes as f64),
        bytes(memory.total_bytes as f64),
    );
    let headline = match severity {
        Severity::Critical => "memory is nearly used up",
        _ => "memory is running low",
    };
    let severity = if calm { Severity::Warning } else { severity };
    let mut draft = Draft::new(&MEMORY_LOW, severity, RESOURCE)
        .judged("host.memory.used_percent", memory.used_percent, "percent", bound)
        .since(facts.trends.over_since("host.memory.used_percent", bound))
        .context("host.memory.available_bytes", memory.available_bytes as f64, "bytes")
        .context("host.memory.total_bytes", memory.total_bytes as f64, "bytes")
        .statements([
            format!("Memory is {used} used, and only {available} of {total} is still available."),
            format!("Only {available} of the {total} of memory is available, and {used} is in use."),
        ]);
    if let Some(waiting) = waiting {
        let joint =
            if calm { "but tasks waited for it during only" } else { "and tasks waited for it during" };
        draft = draft.context("pressure.memory.some_avg10", waiting, "percent").statements([format!(
            "Memory is {used} used, {joint} {} of the last ten seconds.",
            percent(waiting)
        )]);
    }
    let draft = match waiting {
        Some(_) if !calm => draft.consequences(&[
            "Programs [run more slowly|slow down] while the kernel frees memory for them.",
            "When memory runs out, the kernel may kill processes to free some of it.",
        ]),
        _ => draft.consequences(&[
            "One more large [program|job] could use up the rest.",
            "When memory runs out, programs slow down and the kernel may kill some of them.",
        ]),
    };
    let found = draft
        .consequences(&["The kernel has little memory left to cache files, so reading them may take longer."])
        .command(
            LARGEST.0,
            LARGEST.1,
            "Run {command} to see which processes hold the most memory, and stop those that are not needed.",
        )
        .command(
            "See how memory is divided.",
            "free -h",
            "Run {command} to see how memory is divided; the column available shows what programs can still use.",
        )
        .remedy("Stop what is not needed, or give the machine more memory.")
        .advice("Set a memory limit for services that may grow, so that one of them cannot take the rest.")
        .finish(headline);
    Some(found)
}

fn oom_kills(facts: &Facts<'_>) -> Option<Found> {
    const PATH: &str = "host.memory.oom_kills";
    let host = facts.snapshot.host.value()?;
    let kills = host.memory.oom_kills.filter(|kills| *kills > 0)?;
    let young = host.uptime_seconds < KILLED_LATELY.num_seconds().unsigned_abs();
    let rise = |within| facts.trends.rise(PATH, within, kills as f64).filter(|rise| *rise >= 1.0);
    let (severity, recent, when) = match (rise(KILLED_NOW), rise(KILLED_LATELY)) {
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
            "A process that is killed this way cannot save its work or close its connections.",
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

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Info, Warning};

    use super::super::rule::tests::{grade, grade_with};
    use super::super::sample::{healthy, host, pressure};
    use super::super::trends::tests::trends;
    use super::*;

    #[test]
    fn pressure_differs_from_mere_use() {
        for (some, full, expected) in [
            (15.0, Some(0.0), None),
            (15.1, Some(0.0), Some(Warning)),
            (15.1, None, Some(Warning)),
            (99.0, Some(30.0), Some(Warning)),
            (99.0, Some(30.1), Some(Critical)),
        ] {
            let mut snapshot = healthy();
            pressure(&mut snapshot).memory.some_avg60 = some;
            pressure(&mut snapshot).memory.full_avg60 = full;
            assert_eq!(grade(&MEMORY_PRESSURE, &snapshot), expected, "{some} {full:?}");
        }
    }

    #[test]
    fn low_memory_is_critical_only_where_work_may_wait() {
        for (used, waiting, expected) in [
            (90.0, Some(0.0), None),
            (90.1, Some(0.0), Some(Warning)),
            (99.0, Some(15.0), Some(Warning)),
            (99.0, Some(15.1), Some(Critical)),
            (95.0, None, Some(Warning)),
            (95.1, None, Some(Critical)),
        ] {
            let mut snapshot = healthy();
            host(&mut snapshot).memory.used_percent = used;
            match waiting {
                Some(some) => pressure(&mut snapshot).memory.some_avg10 = some,
                None => snapshot.pressure = Default::default(),
            }
            assert_eq!(grade(&MEMORY_LOW, &snapshot), expected, "{used} {waiting:?}");
        }
    }

    #[tokio::test]
    async fn kills_are_worse_the_fresher_they_are() {
        const PATH: &str = "host.memory.oom_kills";
        for (kills, expected) in [(None, None), (Some(0), None), (Some(1), Some(Info))] {
            let mut snapshot = healthy();
            host(&mut snapshot).memory.oom_kills = kills;
            assert_eq!(grade(&OOM_KILLS, &snapshot), expected, "{kills:?}");
        }
        for (uptime, expected) in [(86_399, Warning), (86_400, Info)] {
            let mut snapshot = healthy();
            (host(&mut snapshot).memory.oom_kills, host(&mut snapshot).uptime_seconds) = (Some(1), uptime);
            assert_eq!(grade(&OOM_KILLS, &snapshot), Some(expected), "{uptime}");
        }
        let mut snapshot = healthy();
        host(&mut snapshot).memory.oom_kills = Some(3);
        for (earlier, lately, expected) in [(3.0, 3.0, Info), (1.0, 3.0, Warning), (1.0, 2.0, Critical)] {
            let values = [[earlier; 20], [lately; 20]].concat();
            let trends = trends(&snapshot, PATH, &values).await;
            assert_eq!(grade_with(&OOM_KILLS, &snapshot, &trends), Some(expected), "{earlier} {lately}");
        }
    }
}
