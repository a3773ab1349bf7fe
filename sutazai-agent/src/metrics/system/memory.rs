//! Main memory and swap: `/proc/meminfo` (proc_meminfo(5)), `/proc/vmstat` (proc_vmstat(5)), `/proc/swaps`
//! (proc_swaps(5)) and the counters of ZFS (`arcstats`). Only `meminfo` is required.

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

/// Parses the current memory and swap space.
pub(super) fn parse(meminfo: &str, vmstat: &str, arcstats: &str) -> Result<(MemoryMetrics, SwapSpace)> {
    let kib = |name: &str| number(meminfo, name).map(|kib| kib.saturating_mul(1024));
    let bytes =
        |name: &str| kib(name).ok_or_else(|| Error::unavailable(format!("/proc/meminfo has no line {name}")));
    let total = bytes("MemTotal:")?;
    let available = bytes("MemAvailable:")?.saturating_add(zfs_cache(arcstats)).min(total);
    let used = total.saturating_sub(available);
    let page = kib("Hugepagesize:").unwrap_or(0);
    let pages = |name| number(meminfo, name).map(|pages| pages.saturating_mul(page));
    let memory = MemoryMetrics {
        total_bytes: total,
        used_bytes: used,
        available_bytes: available,
        used_percent: percent(used as f64, total as f64),
        oom_kills: number(vmstat, "oom_kill"),
        // Sum over all page sizes, which older kernels do not report.
        huge_pages_bytes: kib("Hugetlb:").or_else(|| pages("HugePages_Total:")),
        huge_pages_free_bytes: number(meminfo, "HugePages_Free:").map(|free| {
            let reserved = number(meminfo, "HugePages_Rsvd:").unwrap_or(0);
            free.saturating_sub(reserved).saturating_mul(page)
        }),
    };
    let (total, free) = (kib("SwapTotal:").unwrap_or(0), kib("SwapFree:").unwrap_or(0));
    Ok((memory, SwapSpace { total, used: total.saturating_sub(free) }))
}

/// Returns the size of ZFS's cache above its minimum: ZFS frees it when programs need memory, but `MemAvailable` does
/// not include it.
fn zfs_cache(arcstats: &str) -> u64 {
    // Each line has `name type value`.
    let value = |name: &str| {
        let mut lines = arcstats.lines().map(str::split_whitespace);
        let mut words = lines.find(|words| words.clone().next() == Some(name))?;
        words.nth(2)?.parse::<u64>().ok()
    };
    value("size").unwrap_or(0).saturating_sub(value("c_min").unwrap_or(u64::MAX))
}

/// Reads the swap counters; a kernel without swap has none.
pub(super) fn count_swap(vmstat: &str) -> Option<SwapCounters> {
    Some(SwapCounters { pages_in: number(vmstat, "pswpin")?, pages_out: number(vmstat, "pswpout")? })
}

/// Returns whether all swap space is compressed memory, which costs processor time but no disk traffic.
fn is_in_memory(swaps: &str) -> bool {
    let mut areas = swaps.lines().skip(1).filter(|line| !line.trim().is_empty()).peekable();
    areas.peek().is_some() && areas.all(|line| line.starts_with("/dev/zram"))
}

/// Combines the swap space with the traffic between two readings.
pub(super) fn swap_rates(
    space: SwapSpace,
    swaps: &str,
    before: Option<&SwapCounters>,
    now: Option<&SwapCounters>,
    seconds: f64,
) -> SwapMetrics {
    let page = rustix::param::page_size() as f64;
    let rate = |pages: fn(&SwapCounters) -> u64| {
        before.zip(now).map(|(before, now)| per_second(pages(before), pages(now), seconds) * page)
    };
    SwapMetrics {
        total_bytes: space.total,
        used_bytes: space.used,
        used_percent: percent(space.used as f64, space.total as f64),
        in_bytes_per_second: rate(|counters| counters.pages_in),
        out_bytes_per_second: rate(|counters| counters.pages_out),
        in_memory: is_in_memory(swaps),
    }
}

/// Finds the number after a name at the start of a line.
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
    fn used_memory_is_total_minus_available() {
        let (memory, swap) = parse(MEMINFO, "pswpin 1\noom_kill 3\n", "").unwrap();
        assert_eq!((memory.used_bytes, memory.used_percent), (750 * 1024, 75.0));
        assert_eq!(memory.oom_kills, Some(3));
        assert_eq!(swap, SwapSpace { total: 400 * 1024, used: 100 * 1024 });
        assert_eq!(parse(MEMINFO, "", "").unwrap().0.oom_kills, None);
        let e = parse("MemTotal: 1000 kB\n", "", "").unwrap_err();
        assert!(e.message().contains("MemAvailable"), "{e}");
    }

    #[test]
    fn swap_traffic_is_computed_from_pages() {
        let (_, space) = parse(MEMINFO, "", "").unwrap();
        let (before, now) = (count_swap("pswpin 10\npswpout 5\n"), count_swap("pswpin 30\npswpout 5\n"));
        let swap = swap_rates(space, "", before.as_ref(), now.as_ref(), 2.0);
        assert_eq!(swap.in_bytes_per_second, Some(10.0 * rustix::param::page_size() as f64));
        assert_eq!((swap.out_bytes_per_second, swap.used_percent), (Some(0.0), 25.0));
        // Counters that cannot be read are not zero.
        assert_eq!(count_swap("nr_free_pages 3\n"), None);
        assert_eq!(swap_rates(space, "", None, now.as_ref(), 2.0).in_bytes_per_second, None);
    }

    #[test]
    fn compressed_swap_is_in_memory() {
        let areas = |names: &[&str]| {
            let line = |name: &&str| format!("{name} partition 1000 5 100\n");
            format!("Filename Type Size Used Priority\n{}", names.iter().map(line).collect::<String>())
        };
        for (names, expected) in [
            (&["/dev/zram0", "/dev/zram1"][..], true),
            (&["/dev/zram0", "/swapfile"][..], false),
            (&["/dev/sda2"][..], false),
            (&[][..], false),
        ] {
            assert_eq!(is_in_memory(&areas(names)), expected, "{names:?}");
        }
        assert!(!is_in_memory(""));
    }

    #[test]
    fn zfs_cache_above_its_minimum_is_available() {
        let arcstats =
            |size: u64| format!("13 1 0x01\nname type data\nc_min 4 {}\nsize 4 {size}\n", 100 * 1024);
        let available = |text: &str| parse(MEMINFO, "", text).unwrap().0.available_bytes / 1024;
        for (size, expected) in [(500, 250 + 400), (100, 250), (50, 250), (5000, 1000)] {
            assert_eq!(available(&arcstats(size * 1024)), expected, "{size}");
        }
        assert_eq!(available("size 4 900000\n"), 250, "without a minimum nothing is known");
    }

    #[test]
    fn huge_pages_are_reported() {
        let pages = "HugePages_Total: 100\nHugePages_Free: 60\nHugePages_Rsvd: 10\nHugepagesize: 2048 kB\n";
        let read = |more: &str| parse(&format!("{MEMINFO}{pages}{more}"), "", "").unwrap().0;
        let memory = read("");
        assert_eq!(memory.huge_pages_bytes, Some(200 << 20));
        assert_eq!(
            memory.huge_pages_free_bytes,
            Some(100 << 20),
            "what is reserved for a program is not free"
        );
        assert_eq!(read("Hugetlb: 1048576 kB\n").huge_pages_bytes, Some(1 << 30), "all sizes together");
        assert_eq!(parse(MEMINFO, "", "").unwrap().0.huge_pages_bytes, None);
    }
}
