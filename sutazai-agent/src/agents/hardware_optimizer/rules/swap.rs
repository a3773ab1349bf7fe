//! Rules about swap space: traffic, use and absence.
//!
//! Pages that rest in swap do no harm. Harm comes from traffic, and from a shortage of memory that no swap can absorb.

use sutazai_core::domain::Severity;

use super::bounds::Bounds;
use super::draft::{Draft, Found};
use super::figures::{bytes, percent, rate};
use super::memory::{LARGEST, USED};
use super::rule::{Facts, Rule};

/// Bytes a second in one direction: a few hundred pages a second, and ten times that; our choice.
const TRAFFIC: Bounds = Bounds::new(1_048_576.0, 10_485_760.0);
/// Used share of swap in percent; critical only while memory is short too.
const SWAP_USED: Bounds = Bounds::new(80.0, 95.0);
/// Used share of memory in percent from which a machine without swap is reported.
const NO_SWAP_USED: f64 = 75.0;

const RESOURCE: &str = "swap";

/// Reports pages that move between memory and swap.
pub(super) const SWAP_TRAFFIC: Rule =
    Rule { name: "swap_traffic", check: |facts| Vec::from_iter(traffic(facts)) };

/// Reports swap space that is nearly used up.
pub(super) const SWAP_FULL: Rule = Rule { name: "swap_full", check: |facts| Vec::from_iter(full(facts)) };

/// Reports memory that fills up without any swap space.
pub(super) const NO_SWAP: Rule = Rule { name: "no_swap", check: |facts| Vec::from_iter(none(facts)) };

fn traffic(facts: &Facts<'_>) -> Option<Found> {
    // Compressed swap in memory causes no disk traffic; its cost is processor time. Swap of an unknown kind may be it.
    let swap = Some(&facts.snapshot.host.value()?.swap).filter(|swap| swap.in_memory == Some(false))?;
    let (read, written) = (swap.in_bytes_per_second?, swap.out_bytes_per_second?);
    let paths = ("host.swap.in_bytes_per_second", "host.swap.out_bytes_per_second");
    let (metric, value, other_metric, other) =
        if read >= written { (paths.0, read, paths.1, written) } else { (paths.1, written, paths.0, read) };
    let (severity, bound) = TRAFFIC.grade(value)?;
    let moves = (read >= 1.0, written >= 1.0);
    let (read, written) = (rate(read), rate(written));
    let headline = match severity {
        Severity::Critical => "the machine is swapping heavily",
        _ => "the machine is swapping",
    };
    let draft = Draft::new(&SWAP_TRAFFIC, severity, RESOURCE)
        .judged(metric, value, "bytes/s", bound)
        .context(other_metric, other, "bytes/s");
    let draft = match moves {
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
    let found = draft
        .consequences(&[
            "Programs have to wait whenever they need memory that was moved to swap.",
            "Swap traffic at this rate usually means that programs need more memory than the machine has.",
            "Other work on the disk that holds the swap space may become slower too.",
        ])
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
    let (severity, bound) = SWAP_USED.grade(swap_used).filter(|_| swap_total > 0)?;
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
    let used = host.memory.used_percent?;
    if host.swap.total_bytes? > 0 || !used.is_finite() || used <= NO_SWAP_USED {
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
    use sutazai_core::domain::Severity::{Info, Warning};

    use super::super::rule::tests::grade;
    use super::super::sample::{around, healthy, host};
    use super::*;

    #[test]
    fn swap_traffic_counts_both_ways() {
        for (value, expected) in around(1_048_576.0, 10_485_760.0) {
            let mut reads = healthy();
            host(&mut reads).swap.in_bytes_per_second = Some(value);
            let mut writes = healthy();
            host(&mut writes).swap.out_bytes_per_second = Some(value);
            assert_eq!(grade(&SWAP_TRAFFIC, &reads), expected, "{value}");
            assert_eq!(grade(&SWAP_TRAFFIC, &writes), expected, "{value}");
            host(&mut reads).swap.in_memory = Some(true);
            assert_eq!(grade(&SWAP_TRAFFIC, &reads), None, "compressed memory is no disk");
            host(&mut writes).swap.in_bytes_per_second = None;
            assert_eq!(grade(&SWAP_TRAFFIC, &writes), None, "what was not counted is not judged");
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
