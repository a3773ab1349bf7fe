//! Rules of main memory and swap.
//!
//! Full memory is no fault by itself: the kernel fills what is free with file contents it can drop. What hurts is work
//! that waits for memory, pages that go to disk and back, and processes that are killed.

use chrono::TimeDelta;
use sutazai_core::domain::Severity;

use super::bounds::Bounds;
use super::draft::{Draft, Found};
use super::figures::{bytes, count, percent, rate};
use super::rule::{Facts, Rule};

/// Percent of the last minute in which a task waited for memory (the example trigger of the kernel's `psi.rst`: 150 ms
/// in a second).
const PRESSURE_SOME: f64 = 15.0;
/// Percent of the last minute in which all tasks waited: half of where systemd-oomd begins to kill (60 %).
const PRESSURE_FULL: f64 = 30.0;
/// Used share in percent, `MemAvailable` counted as free; customary bounds of monitoring checks.
const USED: Bounds = Bounds::new(90.0, 95.0);
/// Bytes a second in one direction: a few hundred pages a second, and ten times that; our choice.
const SWAP_TRAFFIC_BOUNDS: Bounds = Bounds::new(1_048_576.0, 10_485_760.0);
/// Used share of swap in percent; a warning, and critical only while memory is short too.
const SWAP_USED: Bounds = Bounds::new(80.0, 95.0);
/// Used share of memory in percent from which a machine without swap is worth a word.
const NO_SWAP_USED: f64 = 75.0;
/// Kills within this time mean that memory is short now.
const KILLED_NOW: TimeDelta = TimeDelta::hours(1);
/// Kills within this time are recent.
const KILLED_LATELY: TimeDelta = TimeDelta::hours(24);

const RESOURCE: &str = "memory";
const SHOW_TOP: (&str, &str) = ("See which processes hold the most memory.", "ps aux --sort=-rss | head");

/// Work waits for memory.
pub(super) const MEMORY_PRESSURE: Rule = Rule {
    name: "memory_pressure",
    meaning: "Work stands still because the kernel has to free memory before it can go on.",
    check: |facts| Vec::from_iter(pressure(facts)),
};

/// Little memory is left.
pub(super) const MEMORY_LOW: Rule = Rule {
    name: "memory_low",
    meaning: "Little memory is left, so that one more large job may slow down or stop others.",
    check: |facts| Vec::from_iter(low(facts)),
};

/// Pages go to disk and back.
pub(super) const SWAP_TRAFFIC: Rule = Rule {
    name: "swap_traffic",
    meaning: "Memory is moved to disk and back all the time, which slows down every program.",
    check: |facts| Vec::from_iter(swap_traffic(facts)),
};

/// Swap space is nearly used up.
pub(super) const SWAP_FULL: Rule = Rule {
    name: "swap_full",
    meaning: "The swap space is nearly used up, so it can no longer soften a shortage of memory.",
    check: |facts| Vec::from_iter(swap_full(facts)),
};

/// The kernel killed processes for want of memory.
pub(super) const OOM_KILLS: Rule = Rule {
    name: "oom_kills",
    meaning: "The kernel ended processes by force because there was no memory left for them.",
    check: |facts| Vec::from_iter(oom_kills(facts)),
};

/// Memory fills up and there is no swap behind it.
pub(super) const NO_SWAP: Rule = Rule {
    name: "no_swap",
    meaning: "Without swap space a shortage of memory ends processes at once instead of slowing them.",
    check: |facts| Vec::from_iter(no_swap(facts)),
};

fn pressure(facts: &Facts<'_>) -> Option<Found> {
    let memory = &facts.snapshot.pressure.value()?.memory;
    let some = memory.some_avg60;
    let full = memory.full_avg60.filter(|full| full.is_finite() && *full > PRESSURE_FULL);
    let draft = |severity| Draft::new(&MEMORY_PRESSURE, severity, RESOURCE);
    let some_path = "pressure.memory.some_avg60";
    let (draft, summary) = match full {
        Some(full) => (
            draft(Severity::Critical)
                .judged("pressure.memory.full_avg60", full, "percent", PRESSURE_FULL)
                .context(some_path, some, "percent"),
            format!("All work stood still for want of memory during {} of the last minute.", percent(full)),
        ),
        None if some.is_finite() && some > PRESSURE_SOME => (
            draft(Severity::Warning)
                .judged(some_path, some, "percent", PRESSURE_SOME)
                .since(facts.trends.over_since(some_path, PRESSURE_SOME)),
            format!("Tasks waited for memory during {} of the last minute.", percent(some)),
        ),
        None => return None,
    };
    let draft = draft
        .command(SHOW_TOP.0, SHOW_TOP.1)
        .command("Watch the pressure on memory.", "cat /proc/pressure/memory")
        .advice("Give the largest services a memory limit or the machine more memory.");
    Some(draft.says(summary))
}

fn low(facts: &Facts<'_>) -> Option<Found> {
    let memory = &facts.snapshot.host.value()?.memory;
    let (severity, bound) = USED.grade(memory.used_percent)?;
    let waiting = facts.snapshot.pressure.value().map(|pressure| pressure.memory.some_avg10);
    let calm = waiting.is_some_and(|some| some <= PRESSURE_SOME);
    let severity = if calm { Severity::Warning } else { severity };
    let mut draft = Draft::new(&MEMORY_LOW, severity, RESOURCE)
        .judged("host.memory.used_percent", memory.used_percent, "percent", bound)
        .since(facts.trends.over_since("host.memory.used_percent", bound))
        .context("host.memory.available_bytes", memory.available_bytes as f64, "bytes")
        .context("host.memory.total_bytes", memory.total_bytes as f64, "bytes");
    if let Some(waiting) = waiting {
        draft = draft.context("pressure.memory.some_avg10", waiting, "percent");
    }
    let end = match waiting {
        Some(_) if calm => ", but work does not yet wait for it",
        Some(_) => ", and work waits for it",
        None => "",
    };
    let draft = draft
        .command(SHOW_TOP.0, SHOW_TOP.1)
        .command("See how memory is divided.", "free -h")
        .advice("Stop what is not needed or give the machine more memory.");
    Some(draft.says(format!(
        "Memory is {} used and only {} of {} can still be had{end}.",
        percent(memory.used_percent),
        bytes(memory.available_bytes as f64),
        bytes(memory.total_bytes as f64),
    )))
}

fn swap_traffic(facts: &Facts<'_>) -> Option<Found> {
    let swap = &facts.snapshot.host.value()?.swap;
    let (read, written) = (swap.in_bytes_per_second, swap.out_bytes_per_second);
    let paths = ("host.swap.in_bytes_per_second", "host.swap.out_bytes_per_second");
    let (metric, value, other_metric, other) =
        if read >= written { (paths.0, read, paths.1, written) } else { (paths.1, written, paths.0, read) };
    let (severity, bound) = SWAP_TRAFFIC_BOUNDS.grade(value)?;
    let draft = Draft::new(&SWAP_TRAFFIC, severity, "swap")
        .judged(metric, value, "bytes/s", bound)
        .context(other_metric, other, "bytes/s")
        .command("Watch the swap traffic over some seconds.", "vmstat 1 5")
        .command(SHOW_TOP.0, SHOW_TOP.1)
        .advice("Give the machine more memory or run less at the same time.");
    Some(draft.says(format!(
        "The machine reads {} from swap and writes {} to it, which slows down everything.",
        rate(read),
        rate(written),
    )))
}

fn swap_full(facts: &Facts<'_>) -> Option<Found> {
    let host = facts.snapshot.host.value()?;
    let swap = &host.swap;
    let (severity, bound) = SWAP_USED.grade(swap.used_percent).filter(|_| swap.total_bytes > 0)?;
    let short = USED.grade(host.memory.used_percent).is_some();
    let severity = if short { severity } else { Severity::Warning };
    let draft = Draft::new(&SWAP_FULL, severity, "swap")
        .judged("host.swap.used_percent", swap.used_percent, "percent", bound)
        .since(facts.trends.over_since("host.swap.used_percent", bound))
        .context("host.swap.total_bytes", swap.total_bytes as f64, "bytes")
        .context("host.memory.used_percent", host.memory.used_percent, "percent")
        .command("See how much swap there is and where.", "swapon --show")
        .command(SHOW_TOP.0, SHOW_TOP.1)
        .advice("Add swap space or memory before it is used up.");
    Some(draft.says(format!(
        "Swap is {} used of {} while memory is {} used.",
        percent(swap.used_percent),
        bytes(swap.total_bytes as f64),
        percent(host.memory.used_percent),
    )))
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
    let draft = Draft::new(&OOM_KILLS, severity, RESOURCE)
        .judged(PATH, recent, "count", 0.0)
        .command("Read which processes were ended and when.", "journalctl -k --grep 'Out of memory' | tail")
        .command(SHOW_TOP.0, SHOW_TOP.1)
        .advice("Give large services a memory limit below what the machine has.");
    let were = count(recent as u64, "process was", "processes were");
    Some(draft.says(format!("{were} killed for want of memory {when}.")))
}

fn no_swap(facts: &Facts<'_>) -> Option<Found> {
    let host = facts.snapshot.host.value()?;
    let used = host.memory.used_percent;
    if host.swap.total_bytes > 0 || !used.is_finite() || used <= NO_SWAP_USED {
        return None;
    }
    let draft = Draft::new(&NO_SWAP, Severity::Info, "swap")
        .judged("host.memory.used_percent", used, "percent", NO_SWAP_USED)
        .command("See how memory and swap are divided.", "free -h")
        .advice("Consider a small swap file as a cushion.");
    Some(draft.says(format!("Memory is {} used and there is no swap space behind it.", percent(used))))
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Info, Warning};

    use super::super::rule::tests::{grade, grade_with};
    use super::super::sample::{around, healthy, host, pressure};
    use super::super::trends::tests::trends;
    use super::*;

    #[test]
    fn pressure_is_told_from_mere_use() {
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

    #[test]
    fn swap_traffic_counts_both_ways() {
        for (value, expected) in around(1_048_576.0, 10_485_760.0) {
            let mut reads = healthy();
            host(&mut reads).swap.in_bytes_per_second = value;
            let mut writes = healthy();
            host(&mut writes).swap.out_bytes_per_second = value;
            assert_eq!(grade(&SWAP_TRAFFIC, &reads), expected, "{value}");
            assert_eq!(grade(&SWAP_TRAFFIC, &writes), expected, "{value}");
        }
    }

    #[test]
    fn full_swap_is_critical_only_with_short_memory() {
        for (value, expected) in around(80.0, 95.0) {
            let mut snapshot = healthy();
            host(&mut snapshot).swap.used_percent = value;
            assert_eq!(grade(&SWAP_FULL, &snapshot), expected.map(|_| Warning), "{value}");
            host(&mut snapshot).memory.used_percent = 90.1;
            assert_eq!(grade(&SWAP_FULL, &snapshot), expected, "{value}");
            host(&mut snapshot).swap.total_bytes = 0;
            assert_eq!(grade(&SWAP_FULL, &snapshot), None, "{value}");
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

    #[test]
    fn no_swap_is_worth_a_word_when_memory_fills_up() {
        for (used, total, expected) in
            [(75.0, 0, None), (75.1, 0, Some(Info)), (75.1, 1, None), (f64::NAN, 0, None)]
        {
            let mut snapshot = healthy();
            host(&mut snapshot).memory.used_percent = used;
            host(&mut snapshot).swap.total_bytes = total;
            assert_eq!(grade(&NO_SWAP, &snapshot), expected, "{used} {total}");
        }
    }
}
