//! How `docker stats` counts: the formulas of the Docker command line (`cli/command/container/stats_helpers.go`).

use bollard::models::{ContainerStatsResponse, HostConfig};

/// Processor time since the container began and since the machine did, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct CpuCounters {
    container: u64,
    machine: u64,
    cores: u32,
}

impl CpuCounters {
    /// Share of one processor since `before`; 0 when no time has passed.
    pub(super) fn percent_since(&self, before: &Self) -> f64 {
        let container = self.container.saturating_sub(before.container) as f64;
        let machine = self.machine.saturating_sub(before.machine) as f64;
        if machine > 0.0 { container / machine * f64::from(self.cores) * 100.0 } else { 0.0 }
    }
}

/// The processor counters of one reading.
pub(super) fn cpu(stats: &ContainerStatsResponse) -> Option<CpuCounters> {
    let cpu = stats.cpu_stats.as_ref()?;
    let usage = cpu.cpu_usage.as_ref()?;
    let listed = || usage.percpu_usage.as_ref().map(|each| each.len() as u32);
    Some(CpuCounters {
        container: usage.total_usage?,
        machine: cpu.system_cpu_usage?,
        cores: cpu.online_cpus.filter(|cores| *cores > 0).or_else(listed).unwrap_or(1),
    })
}

/// Memory in use without the page cache that can be dropped: `total_inactive_file` with control groups of version 1,
/// `inactive_file` with version 2.
pub(super) fn memory(stats: &ContainerStatsResponse) -> Option<u64> {
    let memory = stats.memory_stats.as_ref()?;
    let usage = memory.usage?;
    let stat = |name| memory.stats.as_ref().and_then(|stats| stats.get(name)).copied();
    let cache = stat("total_inactive_file").or_else(|| stat("inactive_file")).unwrap_or(0);
    Some(if cache < usage { usage - cache } else { usage })
}

/// Processors that the container may use.
pub(super) fn cpu_limit(host: &HostConfig) -> Option<f64> {
    let positive = |number: Option<i64>| number.filter(|number| *number > 0).map(|number| number as f64);
    let quota = || Some(positive(host.cpu_quota)? / positive(host.cpu_period).unwrap_or(100_000.0));
    positive(host.nano_cpus).map(|nano| nano / 1e9).or_else(quota)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(json: serde_json::Value) -> ContainerStatsResponse {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_share_is_of_one_processor() {
        let reading = |container: u64, machine: u64| {
            let usage = serde_json::json!({ "total_usage": container });
            stats(
                serde_json::json!({ "cpu_stats": { "cpu_usage": usage, "system_cpu_usage": machine, "online_cpus": 4 } }),
            )
        };
        let (before, now) = (cpu(&reading(1_000, 10_000)).unwrap(), cpu(&reading(2_000, 12_000)).unwrap());
        assert_eq!(now.percent_since(&before), 200.0);
        assert_eq!(now.percent_since(&now), 0.0);
        assert_eq!(cpu(&stats(serde_json::json!({ "cpu_stats": {} }))), None, "a container that has ended");
    }

    #[test]
    fn the_cache_is_left_out() {
        let used = |stat: &str| {
            memory(&stats(serde_json::json!({ "memory_stats": { "usage": 100, "stats": { stat: 30 } } })))
        };
        assert_eq!(used("total_inactive_file"), Some(70));
        assert_eq!(used("inactive_file"), Some(70));
        assert_eq!(used("cache"), Some(100));
        assert_eq!(memory(&stats(serde_json::json!({ "memory_stats": {} }))), None);
    }

    #[test]
    fn both_ways_to_limit_processors_are_read() {
        let limit = |json: serde_json::Value| cpu_limit(&serde_json::from_value(json).unwrap());
        assert_eq!(limit(serde_json::json!({ "NanoCpus": 1_500_000_000_i64 })), Some(1.5));
        assert_eq!(
            limit(serde_json::json!({ "CpuQuota": 50_000, "CpuPeriod": 200_000, "NanoCpus": 0 })),
            Some(0.25)
        );
        assert_eq!(limit(serde_json::json!({ "CpuQuota": 0 })), None);
    }
}
