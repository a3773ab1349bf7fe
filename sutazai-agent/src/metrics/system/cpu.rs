//! Processor time: the lines `cpu` and `cpuN` of `/proc/stat` (proc_stat(5)).

use std::fs;
use std::path::Path;

use sutazai_core::domain::CpuMetrics;
use sutazai_core::{Error, Result};

use super::percent;

/// Ticks since boot of the whole machine and of each processor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CpuCounters {
    total: Ticks,
    cores: Vec<(u32, Ticks)>,
}

/// Ticks of one line: user, nice, system, idle, iowait, irq, softirq, steal. Guest time is left out, because the kernel
/// includes it in `user` and `nice`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Ticks([u64; 8]);

const IDLE: usize = 3;
const IOWAIT: usize = 4;
const STEAL: usize = 7;

/// Parses the counters of `/proc/stat`.
pub(super) fn count(stat: &str) -> Result<CpuCounters> {
    let mut lines = stat.lines().take_while(|line| line.starts_with("cpu"));
    let missing = || Error::unavailable("/proc/stat has no line `cpu` of at least 8 numbers");
    let total = lines.next().and_then(|line| ticks(line.strip_prefix("cpu ")?)).ok_or_else(missing)?;
    let core = |line: &str| {
        let (number, rest) = line.strip_prefix("cpu")?.split_once(' ')?;
        Some((number.parse().ok()?, ticks(rest)?))
    };
    Ok(CpuCounters { total, cores: lines.filter_map(core).collect() })
}

/// Shares of processor time between two readings, in percent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shares {
    pub(super) used: f64,
    pub(super) per_core: Vec<f64>,
    pub(super) iowait: f64,
    pub(super) steal: f64,
}

/// Computes the shares between two readings. Waiting for disks counts as idle, as in `top` and psutil.
pub(super) fn shares(before: &CpuCounters, now: &CpuCounters) -> Shares {
    let core_before =
        |number| before.cores.iter().find(|(other, _)| *other == number).map(|(_, ticks)| *ticks);
    let core = |(number, ticks): &(u32, Ticks)| ticks.since(&core_before(*number).unwrap_or_default()).used();
    let total = now.total.since(&before.total);
    let share = |kind: usize| percent(total.0[kind] as f64, total.all() as f64);
    Shares {
        used: total.used(),
        per_core: now.cores.iter().map(core).collect(),
        iowait: share(IOWAIT),
        steal: share(STEAL),
    }
}

/// Builds the figures from the counters of two readings, as far as they could be read.
pub(super) fn metrics(
    before: Option<&CpuCounters>,
    now: Option<&CpuCounters>,
    sys: &Path,
    load: [f64; 3],
    seconds: f64,
) -> CpuMetrics {
    let shares = before.zip(now).map(|(before, now)| shares(before, now));
    CpuMetrics {
        cores: now.map_or_else(|| online(sys), |now| now.cores.len().max(1) as u32),
        model: None,
        used_percent: shares.as_ref().map(|shares| shares.used),
        iowait_percent: shares.as_ref().map(|shares| shares.iowait),
        steal_percent: shares.as_ref().map(|shares| shares.steal),
        per_core_percent: shares.map(|shares| shares.per_core).unwrap_or_default(),
        load: Some(load),
        interval_seconds: seconds,
    }
}

/// Returns the number of processors without `/proc/stat`: by `/sys`, or else those that this process may use.
fn online(sys: &Path) -> u32 {
    let listed = fs::read_to_string(sys.join("devices/system/cpu/online"));
    let allowed = || std::thread::available_parallelism().map_or(1, |number| number.get() as u32);
    listed.ok().and_then(|ranges| length(ranges.trim())).unwrap_or_else(allowed)
}

/// Counts the numbers of a list such as `0-3,8`.
fn length(ranges: &str) -> Option<u32> {
    ranges.split(',').try_fold(0, |sum: u32, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        sum.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

impl Ticks {
    /// Returns the ticks since `before`. Idle and waiting time, and all counters of a processor that is switched off,
    /// may decrease (proc_stat(5)); a decrease counts as zero and does not affect the others.
    fn since(&self, before: &Ticks) -> Ticks {
        Ticks(std::array::from_fn(|kind| self.0[kind].saturating_sub(before.0[kind])))
    }

    fn all(&self) -> u64 {
        self.0.iter().fold(0, |all: u64, ticks| all.saturating_add(*ticks))
    }

    fn used(&self) -> f64 {
        let idle = self.0[IDLE].saturating_add(self.0[IOWAIT]);
        percent(self.all().saturating_sub(idle) as f64, self.all() as f64)
    }
}

fn ticks(numbers: &str) -> Option<Ticks> {
    let numbers: Vec<u64> = numbers.split_whitespace().map_while(|number| number.parse().ok()).collect();
    Some(Ticks(*numbers.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_counted_between_two_readings() {
        let before =
            count("cpu  100 0 100 700 50 0 0 50 10 0\ncpu0 50 0 50 350 25 0 0 25\nintr 1 2\n").unwrap();
        let now =
            count("cpu  150 0 110 720 60 0 0 60 99 0\ncpu0 100 0 50 350 25 0 0 25\ncpu7 1 0 0 3 0 0 0 0\n");
        let now = now.unwrap();
        let cpu = metrics(Some(&before), Some(&now), Path::new("/no/such/place"), [1.0, 2.0, 3.0], 0.5);
        assert_eq!(cpu.used_percent, Some(70.0));
        assert_eq!((cpu.iowait_percent, cpu.steal_percent), (Some(10.0), Some(10.0)));
        assert_eq!(cpu.per_core_percent, [100.0, 25.0], "a processor switched on in between counts from 0");
        assert_eq!((cpu.cores, cpu.interval_seconds), (2, 0.5));
    }

    #[test]
    fn number_of_processors_and_load_are_known_without_counters() {
        let sys = tempfile::tempdir().unwrap();
        let online = sys.path().join("devices/system/cpu/online");
        fs::create_dir_all(online.parent().unwrap()).unwrap();
        for (listed, expected) in [("0-3,8\n", 5), ("0\n", 1)] {
            fs::write(&online, listed).unwrap();
            let cpu = metrics(None, None, sys.path(), [1.0, 2.0, 3.0], 0.5);
            assert_eq!((cpu.cores, cpu.used_percent, cpu.load), (expected, None, Some([1.0, 2.0, 3.0])));
        }
        for broken in ["", "3-1", "x", "0-4294967295"] {
            assert_eq!(length(broken), None, "{broken}");
        }
        assert!(metrics(None, None, Path::new("/no/such/place"), [0.0; 3], 0.5).cores > 0);
    }

    #[test]
    fn decreasing_counters_count_as_zero() {
        let before = count("cpu 100 0 100 700 50 0 0 0\n").unwrap();
        let now = count("cpu 100 0 100 790 40 0 0 0\n").unwrap();
        assert_eq!(shares(&before, &now).used, 0.0);
        let busy = count("cpu 110 0 100 790 40 0 0 0\n").unwrap();
        assert_eq!(shares(&before, &busy).used, 10.0, "what goes back hides no use");
        let full = count(&format!("cpu {0} {0} {0} {0} {0} {0} {0} {0}\n", u64::MAX)).unwrap();
        assert!(shares(&before, &full).used <= 100.0);
        assert_eq!(shares(&now, &now).used, 0.0);
        assert!(count("cpu 1 2 3\n").is_err());
    }
}
