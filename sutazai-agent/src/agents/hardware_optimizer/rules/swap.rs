//! Rules about swap space: traffic, use and absence.
//!
//! Pages that rest in swap do no harm. Harm comes from traffic, and from a shortage of memory that no swap can absorb.

use sutazai_core::domain::Severity;

use super::bounds::Bounds;
use super::draft::{Draft, Found};
use super::figures::{bytes, percent, rate};
use super::judged::{Judged, Levels};
use super::memory::{LARGEST, USED};
use super::rule::{Facts, Rule};
use super::sustained;

/// Bytes a second in one direction: a few hundred pages a second, and ten times that; our choice.
const TRAFFIC: Bounds = Bounds::new(1_048_576.0, 10_485_760.0);
/// Used share of swap in percent; critical only while memory is short too.
const SWAP_USED: Bounds = Bounds::new(80.0, 95.0);
/// Used share of memory in percent from which a machine without swap is reported.
const NO_SWAP_USED: f64 = 75.0;

const RESOURCE: &str = "swap";

/// Reports pages that move between memory and swap.
pub(super) const SWAP_TRAFFIC: Rule = Rule {
    name: "swap_traffic",
    title: "Swap traffic",
    meaning: "Pages go to disk and back, the larger of the two directions counts. Seen at two readings or \
              more. Swap that is all in compressed memory (zram) is left out: it is no disk, and what it \
              costs is pressure. So is swap whose areas (`/proc/swaps`) cannot be read.",
    conditions: [
        "over 1 MiB/s at the only reading",
        "over 1 MiB/s",
        "over 10 MiB/s, and for a second or more",
    ],
    source: "Full swap that rests does no harm, traffic does (USE method: saturation of memory); the rates \
             are ours",
    judged: &[
        Judged::above("host.swap.in_bytes_per_second", "bytes/s", TRAFFIC.levels_from_info()),
        Judged::above("host.swap.out_bytes_per_second", "bytes/s", TRAFFIC.levels_from_info()),
    ],
    needs: &["host.swap.in_memory", "host.swap.in_bytes_per_second", "host.swap.out_bytes_per_second"],
    check: |facts| Vec::from_iter(traffic(facts)),
};

/// Reports swap space that is nearly used up.
pub(super) const SWAP_FULL: Rule = Rule {
    name: "swap_full",
    title: "Swap in use",
    meaning: "Swap cannot soften a further shortage.",
    conditions: ["", "over 80 % used", "over 95 % used while memory is over 90 % used"],
    source: "Customary bounds of monitoring checks",
    judged: &[Judged::percent("host.swap.used_percent", SWAP_USED.levels())],
    needs: &["host.swap.used_percent", "host.swap.total_bytes"],
    check: |facts| Vec::from_iter(full(facts)),
};

/// Reports memory that fills up without any swap space.
pub(super) const NO_SWAP: Rule = Rule {
    name: "no_swap",
    title: "No swap space",
    meaning: "Without swap a shortage ends in kills at once.",
    conditions: ["no swap, and memory over 75 % used", "", ""],
    source: "Ours",
    judged: &[Judged::percent("host.memory.used_percent", Levels::NONE.info(NO_SWAP_USED))],
    needs: &["host.swap.total_bytes", "host.memory.used_percent"],
    check: |facts| Vec::from_iter(none(facts)),
};

fn traffic(facts: &Facts<'_>) -> Option<Found> {
    // Compressed swap in memory causes no disk traffic; its cost is processor time. Swap of an unknown kind may be it.
    let host = facts.snapshot.host.value()?;
    let swap = Some(&host.swap).filter(|swap| swap.in_memory == Some(false))?;
    let (read, written) = (swap.in_bytes_per_second?, swap.out_bytes_per_second?);
    let paths = ("host.swap.in_bytes_per_second", "host.swap.out_bytes_per_second");
    let (metric, value, other_metric, other) =
        if read >= written { (paths.0, read, paths.1, written) } else { (paths.1, written, paths.0, read) };
    let larger = |one: f64, other: Option<f64>| other.map_or(one, |other| one.max(other));
    let readings = sustained::combined(facts, (metric, value), (other_metric, other), larger);
    let seen = sustained::judge(facts, TRAFFIC, &readings, host.cpu.interval_seconds)?;
    let moves = (read >= 1.0, written >= 1.0);
    let (read, written) = (rate(read), rate(written));
    let headline = match seen.severity {
        Severity::Critical => "the machine is swapping heavily",
        _ => "the machine is swapping",
    };
    let draft = Draft::new(&SWAP_TRAFFIC, seen.severity, RESOURCE)
        .judged(metric, value, "bytes/s", seen.bound)
        .context(other_metric, other, "bytes/s");
    let draft = seen.context(draft, "host.swap");
    let draft = match moves {
        _ if seen.is_single() => draft.statements([
            format!("At the only reading, the machine read {read} from swap and wrote {written} to it."),
            format!(
                "By a single reading, swap is in use, with {read} read from it and {written} written to it."
            ),
        ]),
        (true, true) => draft.statements([
            format!("The machine reads {read} from swap and writes {written} to it."),
            format!(
                "Memory moves between swap and programs: {read} is read back and {written} is written out."
            ),
            format!("Swap is in active use, with {read} read from it and {written} written to it."),
        ]),
        (true, false) => draft.statements([
            format!("The machine reads {read} from swap."),
            format!("Swap is in active use, with {read} read from it."),
        ]),
        (false, _) => draft.statements([
            format!("The machine writes {written} to swap."),
            format!("Swap is in active use, with {written} written to it."),
        ]),
    };
    let draft = draft.consequences(&[
        "Programs have to wait whenever they need memory that was moved to swap.",
        "Swap traffic at this rate usually means that programs need more memory than the machine has.",
        "Other work on the disk that holds the swap space may become slower too.",
    ]);
    let found = seen
        .consequence(draft)
        .command(
            "Watch the swap traffic over some seconds.",
            "vmstat 1 5",
            "Run {command} and watch the columns si and so: values that stay above zero mean that swapping goes on.",
        )
        .command(
            LARGEST.0,
            LARGEST.1,
            "Run {command} to see which processes hold the most memory, and run fewer of the largest ones together.",
        )
        .remedy("Give the machine more memory, or run less at the same time.")
        .advice("Reduce the caches or the number of workers in the settings of the largest services.")
        .finish(headline);
    Some(found)
}

fn full(facts: &Facts<'_>) -> Option<Found> {
    let host = facts.snapshot.host.value()?;
    let swap = &host.swap;
    let (swap_used, swap_total) = (swap.used_percent?, swap.total_bytes?);
    if swap_total == 0 {
        return None;
    }
    facts.look();
    let (severity, bound) = SWAP_USED.grade(swap_used)?;
    let headline = match severity {
        Severity::Critical => "swap is nearly full",
        _ => "most of the swap space is used",
    };
    let memory_used = host.memory.used_percent.filter(|used| used.is_finite());
    let short = memory_used.is_some_and(|used| USED.grade(used).is_some());
    let severity = if short { severity } else { Severity::Warning };
    let (used, total) = (percent(swap_used), bytes(swap_total as f64));
    let draft = Draft::new(&SWAP_FULL, severity, RESOURCE)
        .judged("host.swap.used_percent", swap_used, "percent", bound)
        .since(facts.trends.over_since("host.swap.used_percent", bound))
        .context("host.swap.total_bytes", swap_total as f64, "bytes");
    let draft = match memory_used {
        Some(memory_used) => {
            let memory = percent(memory_used);
            draft.context("host.memory.used_percent", memory_used, "percent").statements([
                format!("Swap is {used} used ({total} in total), and memory is {memory} used."),
                format!("Of the {total} of swap space, {used} is used while memory is {memory} used."),
                format!("Swap space of {total} is {used} full, with {memory} of memory in use."),
            ])
        }
        None => draft.statements([
            format!("Swap is {used} used ({total} in total)."),
            format!("Of the {total} of swap space, {used} is used."),
        ]),
    };
    let draft = if short {
        draft.consequences(&[
            "When both memory and swap are used up, the kernel kills processes to free memory.",
            "Swap has little space left for memory that programs do not need at the moment.",
        ])
    } else {
        draft.consequences(&[
            "If memory becomes short, swap has little space left to [absorb the shortage|help].",
            "When swap is full, the kernel can only drop caches or kill processes to free memory.",
        ])
    };
    let found = draft
        .consequences(&[
            "Programs whose memory was moved to swap respond slowly when they become active again.",
        ])
        .command(
            "See how much swap there is and where.",
            "swapon --show",
            "Run {command} to see which swap devices and files there are and how full each one is.",
        )
        .command(
            LARGEST.0,
            LARGEST.1,
            "Run {command} to see which processes hold the most memory, and stop those that are not needed.",
        )
        .remedy("Add swap space or memory before the rest is used up.")
        .advice("Reduce the memory that large services use, so that less of it has to be moved to swap.")
        .finish(headline);
    Some(found)
}

fn none(facts: &Facts<'_>) -> Option<Found> {
    let host = facts.snapshot.host.value()?;
    let (used, swap_total) = (host.memory.used_percent?, host.swap.total_bytes?);
    facts.look();
    if swap_total > 0 || !used.is_finite() || used <= NO_SWAP_USED {
        return None;
    }
    let share = percent(used);
    let found = Draft::new(&NO_SWAP, Severity::Info, RESOURCE)
        .judged("host.memory.used_percent", used, "percent", NO_SWAP_USED)
        .statements([
            format!("Memory is {share} used, and the machine has no swap space."),
            format!("The machine has no swap space while {share} of its memory is used."),
            format!("There is no swap space to absorb a shortage, and {share} of memory is used."),
        ])
        .consequences(&[
            "Without swap, a short peak in memory use can end with a killed process.",
            "When memory runs out, the kernel can only drop caches or kill processes.",
            "Memory that programs rarely use cannot be moved to disk to make space.",
        ])
        .command(
            "See how memory and swap are divided.",
            "free -h",
            "Run {command} to see how much memory is available and that no swap is configured.",
        )
        .remedy("Consider a small swap file, which gives time to react when memory becomes short.")
        .advice("Set a memory limit for the largest services if swap is not wanted on this machine.")
        .advice("Plan more free memory where a service requires that swap is off.")
        .finish("no swap space is configured");
    Some(found)
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Info, Warning};
    use sutazai_core::domain::{EarlierValue, Snapshot};

    use super::super::rule::tests::{grade, grade_with};
    use super::super::sample::{around, healthy, host};
    use super::super::trends::tests::trends;
    use super::*;

    /// Returns a machine with these rates of reading and writing now and at the reading of a minute ago.
    fn swapping(now: [f64; 2], before: Option<[f64; 2]>) -> Snapshot {
        let mut snapshot = healthy();
        let machine = host(&mut snapshot);
        let swap = &mut machine.swap;
        (swap.in_bytes_per_second, swap.out_bytes_per_second) = (Some(now[0]), Some(now[1]));
        for (series, value) in ["in", "out"].into_iter().zip(before.into_iter().flatten()) {
            let series = format!("host.swap.{series}_bytes_per_second");
            machine.earlier.push(EarlierValue { series, seconds_ago: 60.0, value });
        }
        snapshot
    }

    #[test]
    fn swap_traffic_counts_both_ways_at_two_readings() {
        const MIB: f64 = 1_048_576.0;
        for (value, expected) in around(MIB, 10.0 * MIB) {
            let (reads, writes) = ([value, 0.0], [0.0, value]);
            for (now, before) in [(reads, reads), (writes, writes), (reads, writes), (writes, reads)] {
                let mut snapshot = swapping(now, Some(before));
                assert_eq!(grade(&SWAP_TRAFFIC, &snapshot), expected, "{now:?} {before:?}");
                host(&mut snapshot).swap.in_memory = Some(true);
                assert_eq!(grade(&SWAP_TRAFFIC, &snapshot), None, "compressed memory is no disk");
                let mut snapshot = swapping(now, Some(before));
                host(&mut snapshot).swap.in_bytes_per_second = None;
                assert_eq!(grade(&SWAP_TRAFFIC, &snapshot), None, "what was not counted is not judged");
            }
            let once = expected.map(|_| Info);
            assert_eq!(grade(&SWAP_TRAFFIC, &swapping(reads, None)), once, "{value} at a single reading");
            assert_eq!(
                grade(&SWAP_TRAFFIC, &swapping(writes, Some([MIB, MIB]))),
                None,
                "{value}, then a burst"
            );
        }
        let burst = swapping([99.0 * MIB, 0.0], Some([0.0, 5.0 * MIB]));
        assert_eq!(grade(&SWAP_TRAFFIC, &burst), Some(Warning), "only the milder bound lasts");
    }

    #[test]
    fn swap_traffic_is_critical_for_a_second_or_more() {
        for (interval, seconds_ago, expected) in
            [(0.25, 0.25, Warning), (0.25, 0.74, Warning), (0.25, 0.75, Critical), (60.0, 60.0, Critical)]
        {
            let mut snapshot = swapping([5e7, 0.0], Some([5e7, 0.0]));
            let machine = host(&mut snapshot);
            machine.cpu.interval_seconds = interval;
            for earlier in &mut machine.earlier {
                earlier.seconds_ago = seconds_ago;
            }
            assert_eq!(grade(&SWAP_TRAFFIC, &snapshot), Some(expected), "{interval} {seconds_ago}");
        }
    }

    #[tokio::test]
    async fn swap_traffic_of_the_history_is_a_second_reading() {
        let snapshot = swapping([5e7, 0.0], None);
        for (before, expected) in [(5e7, Some(Critical)), (1e6, None)] {
            let history = trends(&snapshot, "host.swap.in_bytes_per_second", &[before]).await;
            assert_eq!(grade_with(&SWAP_TRAFFIC, &snapshot, &history), expected, "{before}");
        }
    }

    #[test]
    fn full_swap_is_critical_only_with_short_memory() {
        for (value, expected) in around(80.0, 95.0) {
            let mut snapshot = healthy();
            host(&mut snapshot).swap.used_percent = Some(value);
            assert_eq!(grade(&SWAP_FULL, &snapshot), expected.map(|_| Warning), "{value}");
            host(&mut snapshot).memory.used_percent = Some(90.1);
            assert_eq!(grade(&SWAP_FULL, &snapshot), expected, "{value}");
            host(&mut snapshot).swap.total_bytes = Some(0);
            assert_eq!(grade(&SWAP_FULL, &snapshot), None, "{value}");
        }
    }

    #[test]
    fn no_swap_is_reported_when_memory_fills_up() {
        for (used, total, expected) in
            [(75.0, 0, None), (75.1, 0, Some(Info)), (75.1, 1, None), (f64::NAN, 0, None)]
        {
            let mut snapshot = healthy();
            host(&mut snapshot).memory.used_percent = Some(used);
            host(&mut snapshot).swap.total_bytes = Some(total);
            assert_eq!(grade(&NO_SWAP, &snapshot), expected, "{used} {total}");
        }
    }
}
