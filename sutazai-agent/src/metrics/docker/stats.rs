//! Formulas of `docker stats`, as in the Docker command line (`cli/command/container/stats_helpers.go`).

use serde_json::Value;

/// Value from which a process limit means none: the engine reports the largest number of its type.
const UNLIMITED_PIDS: u64 = 1 << 40;

/// Processor time of the container and of the machine since each was started, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct CpuCounters {
    container: u64,
    machine: u64,
    cores: u32,
}

impl CpuCounters {
    /// Returns the use in percent of one processor since `before`; 0 when no time has passed.
    pub(super) fn percent_since(&self, before: &Self) -> f64 {
        let container = self.container.saturating_sub(before.container) as f64;
        let machine = self.machine.saturating_sub(before.machine) as f64;
        if machine > 0.0 { container / machine * f64::from(self.cores) * 100.0 } else { 0.0 }
    }
}

/// Reads the processor counters.
pub(super) fn cpu(stats: &Value) -> Option<CpuCounters> {
    let cpu = stats.get("cpu_stats")?;
    let usage = cpu.get("cpu_usage")?;
    let listed = || usage.get("percpu_usage")?.as_array().map(|each| each.len() as u64);
    let cores = cpu.get("online_cpus").and_then(Value::as_u64).filter(|cores| *cores > 0).or_else(listed);
    Some(CpuCounters {
        container: usage.get("total_usage")?.as_u64()?,
        machine: cpu.get("system_cpu_usage")?.as_u64()?,
        cores: cores.and_then(|cores| u32::try_from(cores).ok()).unwrap_or(1),
    })
}

/// Reads the memory in use without the page cache that can be dropped: `total_inactive_file` with control groups of
/// version 1, `inactive_file` with version 2.
pub(super) fn memory(stats: &Value) -> Option<u64> {
    let memory = stats.get("memory_stats")?;
    let usage = memory.get("usage")?.as_u64()?;
    let stat = |name: &str| memory.get("stats")?.get(name)?.as_u64();
    let cache = stat("total_inactive_file").or_else(|| stat("inactive_file")).unwrap_or(0);
    Some(if cache < usage { usage - cache } else { usage })
}

/// Returns the number of processors that the container may use.
pub(super) fn cpu_limit(host: &Value) -> Option<f64> {
    let positive = |name: &str| host.get(name)?.as_f64().filter(|number| *number > 0.0);
    let quota = || Some(positive("CpuQuota")? / positive("CpuPeriod").unwrap_or(100_000.0));
    positive("NanoCpus").map(|nano| nano / 1e9).or_else(quota)
}

/// Returns the number of processes and threads of the container, and their limit.
pub(super) fn pids(stats: &Value) -> (Option<u64>, Option<u64>) {
    let number = |name: &str| stats.get("pids_stats")?.get(name)?.as_u64();
    (number("current"), number("limit").filter(|limit| (1..UNLIMITED_PIDS).contains(limit)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn share_refers_to_one_processor() {
        let reading = |container: u64, machine: u64| {
            let usage = json!({ "total_usage": container });
            json!({ "cpu_stats": { "cpu_usage": usage, "system_cpu_usage": machine, "online_cpus": 4 } })
        };
        let (before, now) = (cpu(&reading(1_000, 10_000)).unwrap(), cpu(&reading(2_000, 12_000)).unwrap());
        assert_eq!(now.percent_since(&before), 200.0);
        assert_eq!(now.percent_since(&now), 0.0);
        assert_eq!(cpu(&json!({ "cpu_stats": {} })), None, "a container that has ended");
    }

    #[test]
    fn page_cache_is_left_out() {
        let used = |stat: &str| memory(&json!({ "memory_stats": { "usage": 100, "stats": { stat: 30 } } }));
        assert_eq!(used("total_inactive_file"), Some(70));
        assert_eq!(used("inactive_file"), Some(70));
        assert_eq!(used("cache"), Some(100));
        assert_eq!(memory(&json!({ "memory_stats": {} })), None);
    }

    #[test]
    fn both_forms_of_a_processor_limit_are_read() {
        assert_eq!(cpu_limit(&json!({ "NanoCpus": 1_500_000_000_i64 })), Some(1.5));
        assert_eq!(
            cpu_limit(&json!({ "CpuQuota": 50_000, "CpuPeriod": 200_000, "NanoCpus": 0 })),
            Some(0.25)
        );
        assert_eq!(cpu_limit(&json!({ "CpuQuota": 0, "NanoCpus": null })), None);
    }

    #[test]
    fn process_limit_is_optional() {
        let of = |limit: Value| pids(&json!({ "pids_stats": { "current": 7, "limit": limit } }));
        assert_eq!(of(json!(100)), (Some(7), Some(100)));
        for none in [json!(u64::MAX), json!(0), json!(null), json!(-1)] {
            assert_eq!(of(none.clone()), (Some(7), None), "{none}");
        }
        assert_eq!(pids(&json!({})), (None, None));
    }
}
