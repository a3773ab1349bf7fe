//! Main memory and swap: `/proc/meminfo` (proc_meminfo(5)), `/proc/vmstat` (proc_vmstat(5)), `/proc/swaps`
//! (proc_swaps(5)) and the counters of ZFS (`arcstats`).

use std::borrow::Cow;

use sutazai_core::Result;
use sutazai_core::domain::{MemoryMetrics, SwapMetrics};

use super::super::missing::Missing;
use super::{per_second, percent};

const TOTAL: &str = "host.memory.total_bytes";
const USED: &str = "host.memory.used_bytes";
const AVAILABLE: &str = "host.memory.available_bytes";
const USED_PERCENT: &str = "host.memory.used_percent";
/// Figures that come from `/proc/meminfo`.
const FIGURES: [&str; 9] = [
    TOTAL,
    USED,
    AVAILABLE,
    USED_PERCENT,
    "host.memory.huge_pages_bytes",
    "host.memory.huge_pages_free_bytes",
    "host.swap.total_bytes",
    "host.swap.used_bytes",
    "host.swap.used_percent",
];

/// Pages moved between memory and swap since boot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SwapCounters {
    pages_in: u64,
    pages_out: u64,
}

/// Size and use of the swap space in bytes, as far as they can be read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SwapSpace {
    pub(super) total: Option<u64>,
    used: Option<u64>,
}

/// Parses the current memory and swap space from `/proc/meminfo`.
///
/// `cache` is the content of ZFS's `arcstats`, `None` without ZFS. If it cannot be read, the available memory is unknown:
/// without the cache, too little would be counted.
pub(super) fn parse(
    meminfo: Result<Cow<'_, str>>,
    cache: Result<Option<Cow<'_, str>>>,
    missing: &mut Missing,
) -> (MemoryMetrics, SwapSpace) {
    let text = missing.keep(&FIGURES, meminfo);
    let line = |name: &str| number(text.as_deref()?, name);
    let kib = |name: &str| line(name).map(|kib| kib.saturating_mul(1024));
    let (total, mem_available) = (kib("MemTotal:"), kib("MemAvailable:"));
    if text.is_some() {
        for (name, value, figures) in [
            ("MemTotal", total, [TOTAL, USED, USED_PERCENT]),
            ("MemAvailable", mem_available, [AVAILABLE, USED, USED_PERCENT]),
        ] {
            if value.is_none() {
                missing.add(&figures, format!("/proc/meminfo has no line {name}"));
            }
        }
    }
    let cache = missing.keep(&[AVAILABLE, USED, USED_PERCENT], cache);
    let cache = cache.map(|arcstats| arcstats.map_or(0, |arcstats| zfs_cache(&arcstats)));
    let available = mem_available
        .zip(cache)
        .map(|(available, cache)| available.saturating_add(cache).min(total.unwrap_or(u64::MAX)));
    let used = total.zip(available).map(|(total, available)| total.saturating_sub(available));
    let page = kib("Hugepagesize:").unwrap_or(0);
    let pages = |name| line(name).map(|pages| pages.saturating_mul(page));
    let memory = MemoryMetrics {
        total_bytes: total,
        used_bytes: used,
        available_bytes: available,
        used_percent: used.zip(total).map(|(used, total)| percent(used as f64, total as f64)),
        oom_kills: None,
        // Sum over all page sizes, which older kernels do not report.
        huge_pages_bytes: kib("Hugetlb:").or_else(|| pages("HugePages_Total:")),
        huge_pages_free_bytes: line("HugePages_Free:").map(|free| {
            let reserved = line("HugePages_Rsvd:").unwrap_or(0);
            free.saturating_sub(reserved).saturating_mul(page)
        }),
    };
    let (total, free) = (kib("SwapTotal:"), kib("SwapFree:"));
    (memory, SwapSpace { total, used: total.zip(free).map(|(total, free)| total.saturating_sub(free)) })
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

/// Reads the number of processes killed for lack of memory since boot; kernels before 4.13 do not count them.
pub(super) fn count_kills(vmstat: &str) -> Option<u64> {
    number(vmstat, "oom_kill")
}

/// Returns whether all swap space is compressed memory, which costs processor time but no disk traffic.
pub(super) fn is_in_memory(swaps: &str) -> bool {
    let mut areas = swaps.lines().skip(1).filter(|line| !line.trim().is_empty()).peekable();
    areas.peek().is_some() && areas.all(|line| line.starts_with("/dev/zram"))
}

/// Combines the swap space with the traffic between two readings.
pub(super) fn swap_rates(
    space: SwapSpace,
    in_memory: Option<bool>,
    before: Option<&SwapCounters>,
    now: Option<&SwapCounters>,
    seconds: f64,
) -> SwapMetrics {
    let traffic = before.zip(now).map(|(before, now)| swap_traffic(before, now, seconds));
    SwapMetrics {
        total_bytes: space.total,
        used_bytes: space.used,
        used_percent: space.used.zip(space.total).map(|(used, total)| percent(used as f64, total as f64)),
        in_bytes_per_second: traffic.map(|[read, _]| read),
        out_bytes_per_second: traffic.map(|[_, written]| written),
        in_memory,
    }
}

/// Returns the bytes read from swap and those written to it, per second.
pub(super) fn swap_traffic(before: &SwapCounters, now: &SwapCounters, seconds: f64) -> [f64; 2] {
    let page = rustix::param::page_size() as f64;
    [(before.pages_in, now.pages_in), (before.pages_out, now.pages_out)]
        .map(|(before, now)| per_second(before, now, seconds) * page)
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
    use sutazai_core::Error;
    use sutazai_core::domain::MissingFigures;

    use super::*;

    const MEMINFO: &str = "MemTotal:       1000 kB\nMemFree:  100 kB\nMemAvailable:   250 kB\n\
                           SwapTotal:   400 kB\nSwapFree:    300 kB\n";

    /// Parses these contents, and returns the missing figures as well.
    fn read(meminfo: &str, arcstats: Option<&str>) -> (MemoryMetrics, SwapSpace, Vec<MissingFigures>) {
        let mut missing = Missing::default();
        let (memory, space) = parse(Ok(meminfo.into()), Ok(arcstats.map(Cow::from)), &mut missing);
        (memory, space, missing.into_figures())
    }

    #[test]
    fn used_memory_is_total_minus_available() {
        let (memory, swap, missing) = read(MEMINFO, None);
        assert_eq!((memory.used_bytes, memory.used_percent), (Some(750 * 1024), Some(75.0)));
        assert_eq!(swap, SwapSpace { total: Some(400 * 1024), used: Some(100 * 1024) });
        assert_eq!(missing, []);
        assert_eq!(count_kills("pswpin 1\noom_kill 3\n"), Some(3));
        assert_eq!(count_kills("pswpin 1\n"), None);
    }

    #[test]
    fn missing_line_loses_only_what_follows_from_it() {
        let (memory, swap, missing) = read("MemTotal: 1000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n", None);
        assert_eq!((memory.total_bytes, memory.available_bytes), (Some(1000 * 1024), None));
        assert_eq!((memory.used_bytes, memory.used_percent), (None, None));
        assert_eq!(swap.total, Some(0));
        assert_eq!(missing[0].figures, [AVAILABLE, USED, USED_PERCENT]);
        assert!(missing[0].reason.contains("MemAvailable"), "{missing:?}");
        let (memory, ..) = read("MemAvailable: 10 kB\n", None);
        assert_eq!((memory.total_bytes, memory.available_bytes), (None, Some(10 * 1024)));
    }

    #[test]
    fn unreadable_cache_of_zfs_makes_the_available_memory_unknown() {
        let mut missing = Missing::default();
        let cache = Err(Error::unavailable("arcstats cannot be read"));
        let (memory, swap) = parse(Ok(MEMINFO.into()), cache, &mut missing);
        assert_eq!((memory.total_bytes, memory.available_bytes), (Some(1000 * 1024), None));
        assert_eq!((memory.used_percent, swap.total), (None, Some(400 * 1024)));
        assert_eq!(missing.first_reason(), Some("arcstats cannot be read"));
    }

    #[test]
    fn swap_traffic_is_computed_from_pages() {
        let (_, space, _) = read(MEMINFO, None);
        let (before, now) = (count_swap("pswpin 10\npswpout 5\n"), count_swap("pswpin 30\npswpout 5\n"));
        let swap = swap_rates(space, Some(false), before.as_ref(), now.as_ref(), 2.0);
        assert_eq!(swap.in_bytes_per_second, Some(10.0 * rustix::param::page_size() as f64));
        assert_eq!((swap.out_bytes_per_second, swap.used_percent), (Some(0.0), Some(25.0)));
        // Counters that cannot be read are not zero.
        assert_eq!(count_swap("nr_free_pages 3\n"), None);
        assert_eq!(swap_rates(space, None, None, now.as_ref(), 2.0).in_bytes_per_second, None);
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
        let available = |text: &str| read(MEMINFO, Some(text)).0.available_bytes.unwrap() / 1024;
        for (size, expected) in [(500, 250 + 400), (100, 250), (50, 250), (5000, 1000)] {
            assert_eq!(available(&arcstats(size * 1024)), expected, "{size}");
        }
        assert_eq!(available("size 4 900000\n"), 250, "without a minimum nothing is known");
    }

    #[test]
    fn huge_pages_are_reported() {
        let pages = "HugePages_Total: 100\nHugePages_Free: 60\nHugePages_Rsvd: 10\nHugepagesize: 2048 kB\n";
        let with = |more: &str| read(&format!("{MEMINFO}{pages}{more}"), None).0;
        let memory = with("");
        assert_eq!(memory.huge_pages_bytes, Some(200 << 20));
        assert_eq!(
            memory.huge_pages_free_bytes,
            Some(100 << 20),
            "what is reserved for a program is not free"
        );
        assert_eq!(with("Hugetlb: 1048576 kB\n").huge_pages_bytes, Some(1 << 30), "all sizes together");
        assert_eq!(read(MEMINFO, None).0.huge_pages_bytes, None);
    }
}
