//! Processor time: the lines `cpu` and `cpuN` of `/proc/stat` (proc_stat(5)).

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

/// Computes the shares between two readings. Waiting for disks counts as idle, as in `top` and psutil.
pub(super) fn rates(before: &CpuCounters, now: &CpuCounters, load: [f64; 3], seconds: f64) -> CpuMetrics {
    let core_before =
        |number| before.cores.iter().find(|(other, _)| *other == number).map(|(_, ticks)| *ticks);
    let core = |(number, ticks): &(u32, Ticks)| ticks.since(&core_before(*number).unwrap_or_default()).used();
    let total = now.total.since(&before.total);
    let share = |kind: usize| percent(total.0[kind] as f64, total.all() as f64);
    CpuMetrics {
        cores: now.cores.len().max(1) as u32,
        used_percent: total.used(),
        per_core_percent: now.cores.iter().map(core).collect(),
        iowait_percent: share(IOWAIT),
        steal_percent: share(STEAL),
        load,
        interval_seconds: seconds,
    }
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
        let cpu = rates(&before, &now.unwrap(), [1.0, 2.0, 3.0], 0.5);
        assert_eq!((cpu.used_percent, cpu.iowait_percent, cpu.steal_percent), (70.0, 10.0, 10.0));
        assert_eq!(cpu.per_core_percent, [100.0, 25.0], "a processor switched on in between counts from 0");
        assert_eq!((cpu.cores, cpu.interval_seconds), (2, 0.5));
    }

    #[test]
    fn decreasing_counters_count_as_zero() {
        let before = count("cpu 100 0 100 700 50 0 0 0\n").unwrap();
        let now = count("cpu 100 0 100 790 40 0 0 0\n").unwrap();
        assert_eq!(rates(&before, &now, [0.0; 3], 1.0).used_percent, 0.0);
        let busy = count("cpu 110 0 100 790 40 0 0 0\n").unwrap();
        assert_eq!(rates(&before, &busy, [0.0; 3], 1.0).used_percent, 10.0, "what goes back hides no use");
        let full = count(&format!("cpu {0} {0} {0} {0} {0} {0} {0} {0}\n", u64::MAX)).unwrap();
        assert!(rates(&before, &full, [0.0; 3], 1.0).used_percent <= 100.0);
        assert_eq!(rates(&now, &now, [0.0; 3], 1.0).used_percent, 0.0);
        assert!(count("cpu 1 2 3\n").is_err());
    }
}
