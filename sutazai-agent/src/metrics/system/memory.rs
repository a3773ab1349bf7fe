//! Main memory and swap: `/proc/meminfo` (proc_meminfo(5)) and `/proc/vmstat` (proc_vmstat(5)).

use sutazai_core::domain::{MemoryMetrics, SwapMetrics};
use sutazai_core::{Error, Result};

use super::{per_second, percent};

/// Pages moved between memory and swap since boot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SwapCounters {
    pages_in: u64,
    pages_out: u64,
}

/// Size and use of the swap space in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SwapSpace {
    total: u64,
    used: u64,
}

/// Memory and swap space now.
pub(super) fn parse(meminfo: &str, vmstat: &str) -> Result<(MemoryMetrics, SwapSpace)> {
    let bytes = |name: &str| {
        let kib = number(meminfo, name);
        kib.map(|kib| kib * 1024)
            .ok_or_else(|| Error::unavailable(format!("/proc/meminfo has no line {name}")))
    };
    let (total, available) = (bytes("MemTotal:")?, bytes("MemAvailable:")?);
    let used = total.saturating_sub(available);
    let memory = MemoryMetrics {
        total_bytes: total,
        used_bytes: used,
        available_bytes: available,
        used_percent: percent(used as f64, total as f64),
        oom_kills: number(vmstat, "oom_kill"),
    };
    let total = bytes("SwapTotal:")?;
    Ok((memory, SwapSpace { total, used: total.saturating_sub(bytes("SwapFree:")?) }))
}

/// Reads the counters; a kernel without swap has none, and nothing is moved.
pub(super) fn count_swap(vmstat: &str) -> SwapCounters {
    let pages = |name| number(vmstat, name).unwrap_or(0);
    SwapCounters { pages_in: pages("pswpin"), pages_out: pages("pswpout") }
}

/// Swap space, and the traffic between two readings.
pub(super) fn swap_rates(
    space: SwapSpace,
    before: &SwapCounters,
    now: &SwapCounters,
    seconds: f64,
) -> SwapMetrics {
    let page = rustix::param::page_size() as f64;
    SwapMetrics {
        total_bytes: space.total,
        used_bytes: space.used,
        used_percent: percent(space.used as f64, space.total as f64),
        in_bytes_per_second: per_second(before.pages_in, now.pages_in, seconds) * page,
        out_bytes_per_second: per_second(before.pages_out, now.pages_out, seconds) * page,
    }
}

/// The number behind a name at the start of a line.
fn number(text: &str, name: &str) -> Option<u64> {
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next()? == name).then(|| words.next()?.parse().ok()).flatten()
    };
    text.lines().find_map(of_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       1000 kB\nMemFree:  100 kB\nMemAvailable:   250 kB\n\
                           SwapTotal:   400 kB\nSwapFree:    300 kB\n";

    #[test]
    fn used_memory_is_what_is_not_available() {
        let (memory, swap) = parse(MEMINFO, "pswpin 1\noom_kill 3\n").unwrap();
        assert_eq!((memory.used_bytes, memory.used_percent), (750 * 1024, 75.0));
        assert_eq!(memory.oom_kills, Some(3));
        assert_eq!(swap, SwapSpace { total: 400 * 1024, used: 100 * 1024 });
        assert_eq!(parse(MEMINFO, "").unwrap().0.oom_kills, None);
        let e = parse("MemTotal: 1000 kB\n", "").unwrap_err();
        assert!(e.message().contains("MemAvailable"), "{e}");
    }

    #[test]
    fn swap_traffic_is_pages_a_second() {
        let (_, space) = parse(MEMINFO, "").unwrap();
        let (before, now) = (count_swap("pswpin 10\npswpout 5\n"), count_swap("pswpin 30\npswpout 5\n"));
        let swap = swap_rates(space, &before, &now, 2.0);
        assert_eq!(swap.in_bytes_per_second, 10.0 * rustix::param::page_size() as f64);
        assert_eq!((swap.out_bytes_per_second, swap.used_percent), (0.0, 25.0));
    }
}
