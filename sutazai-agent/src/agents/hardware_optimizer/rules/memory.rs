//! Rules about main memory.
//!
//! Full memory is no fault by itself: the kernel fills free memory with file contents that it can drop. Harm comes from
//! tasks that wait for memory and from processes that are killed.

use sutazai_core::domain::Severity;

use super::bounds::{self, Bounds};
use super::draft::{Draft, Found};
use super::figures::{bytes, percent};
use super::judged::{Judged, Levels};
use super::rule::{Facts, Rule};

/// Percent of the last minute in which some task waited for memory (the example trigger of the kernel's `psi.rst` is
/// 150 ms in a second).
const PRESSURE_SOME: f64 = 15.0;
/// Percent of the last minute in which all tasks waited: half of the 60 % at which systemd-oomd begins to kill.
const PRESSURE_FULL: f64 = 30.0;
/// Used share in percent, with `MemAvailable` counted as free; usual thresholds of monitoring checks.
pub(super) const USED: Bounds = Bounds::new(90.0, 95.0);
/// Share of all memory in percent that unused huge pages take; our choice. The program that will use them may not run
/// yet.
const HUGE_PAGES: Bounds = Bounds::mild(10.0, 25.0);
/// Share of all memory in percent from which a finding names huge pages as a cause; our choice.
const HUGE_PAGES_NAMED: f64 = 10.0;

pub(super) const RESOURCE: &str = "memory";
/// Remedy that shows the largest processes, with its command.
pub(super) const LARGEST: (&str, &str) =
    ("See which processes hold the most memory.", "ps aux --sort=-rss | head");

/// Reports tasks that wait for memory.
pub(super) const MEMORY_PRESSURE: Rule = Rule {
    name: "memory_pressure",
    title: "Memory pressure",
    meaning: "Tasks wait until the kernel has freed memory.",
    conditions: ["", "a task stalled over 15 % of the last minute", "all tasks stalled over 30 % of it"],
    source: "The example trigger in the kernel's `psi.rst` is 150 ms in a second; systemd-oomd begins to \
             kill at 60 % of full stall by default, and 30 % is half of that",
    judged: &[
        Judged::percent("pressure.memory.some_avg60", Levels::NONE.warning(PRESSURE_SOME)),
        Judged::percent("pressure.memory.full_avg60", Levels::NONE.critical(PRESSURE_FULL)),
    ],
    needs: &["pressure.memory"],
    check: |facts| Vec::from_iter(pressure(facts)),
};

/// Reports that little memory is left.
pub(super) const MEMORY_LOW: Rule = Rule {
    name: "memory_low",
    title: "Memory in use",
    meaning: "Little of `MemAvailable` is left; what ZFS's cache holds above its minimum counts as \
              available. Mere use, with memory pressure measured and at most 15 %, is a warning at most, and \
              one statement says so. Huge pages over 10 % of all memory are named.",
    conditions: ["", "over 90 % used", "over 95 % used"],
    source: "Customary bounds of monitoring checks",
    judged: &[Judged::percent("host.memory.used_percent", USED.levels())],
    needs: &["host.memory.used_percent", "host.memory.available_bytes", "host.memory.total_bytes"],
    check: |facts| Vec::from_iter(low(facts)),
};

/// Reports memory that is reserved for huge pages and not used.
pub(super) const HUGE_PAGES_UNUSED: Rule = Rule {
    name: "huge_pages_unused",
    title: "Unused huge pages",
    meaning: "Memory is reserved for huge pages, and nothing uses them.",
    conditions: ["over 10 % of all memory", "over 25 %", ""],
    source: "Ours: a program that will use them may not run yet",
    judged: &[Judged::percent("host.memory.huge_pages_free_percent", HUGE_PAGES.levels())],
    needs: &["host.memory.huge_pages_free_bytes", "host.memory.total_bytes"],
    check: |facts| Vec::from_iter(unused_huge_pages(facts)),
};

fn pressure(facts: &Facts<'_>) -> Option<Found> {
    const SOME_PATH: &str = "pressure.memory.some_avg60";
    let memory = facts.snapshot.pressure.value()?.memory.as_ref()?;
    let some = memory.some_avg60;
    facts.look();
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
    let used_percent = memory.used_percent?;
    let (available_bytes, total_bytes) = (memory.available_bytes? as f64, memory.total_bytes? as f64);
    facts.look();
    let (severity, bound) = USED.grade(used_percent)?;
    let waiting = facts.snapshot.pressure.value().and_then(|pressure| pressure.memory.as_ref());
    let waiting = waiting.map(|memory| memory.some_avg10);
    let calm = waiting.is_some_and(|some| some <= PRESSURE_SOME);
    let (used, available, total) = (percent(used_percent), bytes(available_bytes), bytes(total_bytes));
    let headline = match severity {
        Severity::Critical => "memory is nearly used up",
        _ => "memory is running low",
    };
    let severity = if calm { Severity::Warning } else { severity };
    let mut draft = Draft::new(&MEMORY_LOW, severity, RESOURCE)
        .judged("host.memory.used_percent", used_percent, "percent", bound)
        .since(facts.trends.over_since("host.memory.used_percent", bound))
        .context("host.memory.available_bytes", available_bytes, "bytes")
        .context("host.memory.total_bytes", total_bytes, "bytes");
    let huge = memory
        .huge_pages_bytes
        .map(|huge| huge as f64)
        .filter(|huge| bounds::percent(*huge, total_bytes) > HUGE_PAGES_NAMED);
    draft = match huge {
        Some(huge) => {
            let reserved = bytes(huge);
            draft.context("host.memory.huge_pages_bytes", huge, "bytes").statements([
                format!("Memory is {used} used, {reserved} of it is reserved for huge pages, and {available} is available."),
                format!("Only {available} of {total} is available with {used} used, of which {reserved} is for huge pages."),
            ])
        }
        None => draft.statements([
            format!("Memory is {used} used, and only {available} of {total} is still available."),
            format!("Only {available} of the {total} of memory is available, and {used} is in use."),
        ]),
    };
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

fn unused_huge_pages(facts: &Facts<'_>) -> Option<Found> {
    let memory = &facts.snapshot.host.value()?.memory;
    let free = memory.huge_pages_free_bytes? as f64;
    let share = bounds::percent(free, memory.total_bytes? as f64);
    facts.look();
    let (severity, bound) = HUGE_PAGES.grade(share)?;
    let all = memory.huge_pages_bytes.map_or(free, |all| all as f64);
    let (part, unused, reserved) = (percent(share), bytes(free), bytes(all));
    let found = Draft::new(&HUGE_PAGES_UNUSED, severity, RESOURCE)
        .judged("host.memory.huge_pages_free_percent", share, "percent", bound)
        .context("host.memory.huge_pages_free_bytes", free, "bytes")
        .context("host.memory.huge_pages_bytes", all, "bytes")
        .statements([
            format!("Of {reserved} that is reserved for huge pages, {unused} is unused, which is {part} of all memory."),
            format!("Huge pages that nothing uses keep {unused} of memory, {part} of all, from other programs."),
        ])
        .consequences(&[
            "Memory that is reserved for huge pages cannot be used for anything else, even if memory runs out.",
            "The kernel counts this memory as used although no process holds it.",
        ])
        .command(
            "See how many huge pages are reserved and free.",
            "grep -i huge /proc/meminfo",
            "Run {command} to see how many huge pages are reserved and how many of them are free.",
        )
        .remedy("Reserve fewer huge pages (vm.nr_hugepages), if no program needs them.")
        .advice("If a database should use them, check that it is configured for huge pages and was restarted since.")
        .finish("unused huge pages take memory");
    Some(found)
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Info, Warning};

    use super::super::rule::tests::grade;
    use super::super::sample::{around, healthy, host, pressure};
    use super::super::trends::Trends;
    use super::*;

    #[test]
    fn pressure_is_judged_apart_from_use() {
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
    fn low_memory_is_critical_only_under_pressure() {
        for (used, waiting, expected) in [
            (90.0, Some(0.0), None),
            (90.1, Some(0.0), Some(Warning)),
            (99.0, Some(15.0), Some(Warning)),
            (99.0, Some(15.1), Some(Critical)),
            (95.0, None, Some(Warning)),
            (95.1, None, Some(Critical)),
        ] {
            let mut snapshot = healthy();
            host(&mut snapshot).memory.used_percent = Some(used);
            match waiting {
                Some(some) => pressure(&mut snapshot).memory.some_avg10 = some,
                None => snapshot.pressure = Default::default(),
            }
            assert_eq!(grade(&MEMORY_LOW, &snapshot), expected, "{used} {waiting:?}");
        }
    }

    #[test]
    fn unused_huge_pages_are_reported() {
        for (free, expected) in around(10.0, 25.0) {
            let mut snapshot = healthy();
            let memory = &mut host(&mut snapshot).memory;
            memory.total_bytes = Some(100_000_000);
            memory.huge_pages_free_bytes = Some((free * 1e6) as u64);
            let milder = expected.map(|severity| if severity == Critical { Warning } else { Info });
            assert_eq!(grade(&HUGE_PAGES_UNUSED, &snapshot), milder, "{free}");
        }
    }

    #[test]
    fn huge_pages_are_named_when_memory_is_low() {
        let summary = |reserved: Option<u64>| {
            let mut snapshot = healthy();
            let memory = &mut host(&mut snapshot).memory;
            (memory.used_percent, memory.huge_pages_bytes) = (Some(96.0), reserved);
            let found = (MEMORY_LOW.check)(&Facts::new(&snapshot, &Trends::default()));
            found[0].finding.summary.clone()
        };
        let total = host(&mut healthy()).memory.total_bytes.unwrap();
        assert!(!summary(None).contains("huge"), "{}", summary(None));
        assert!(!summary(Some(total / 10)).contains("huge"), "{}", summary(Some(total / 10)));
        let told = summary(Some(total / 2));
        assert!(told.contains("8 GiB of it is reserved for huge pages"), "{told}");
    }
}
