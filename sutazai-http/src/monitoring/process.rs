//! Metrics of this process, named as by Prometheus's own client libraries
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>) and read from `/proc`.
//!
//! The text is written separately from the recorder, whose counters are integers only. Without `/proc` there are no
//! such metrics.

use std::fmt::Write as _;

/// Values of this process; a value that cannot be read is `None`.
#[derive(Debug, Default)]
struct Process {
    cpu_seconds: Option<f64>,
    resident_bytes: Option<u64>,
    start_seconds: Option<f64>,
    open_fds: Option<usize>,
    max_fds: Option<u64>,
}

/// Appends the metrics of this process.
pub(super) fn write(to: &mut String) {
    let process = Process::read();
    let mut metric = |name, kind, help, value: Option<f64>| {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(to, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
        }
    };
    let cpu = "CPU time of this process, in seconds";
    metric("process_cpu_seconds_total", "counter", cpu, process.cpu_seconds);
    let resident = process.resident_bytes.map(|bytes| bytes as f64);
    metric("process_resident_memory_bytes", "gauge", "Resident memory of this process, in bytes", resident);
    let open = process.open_fds.map(|count| count as f64);
    metric("process_open_fds", "gauge", "File descriptors that this process has open", open);
    let max = process.max_fds.map(|count| count as f64);
    metric("process_max_fds", "gauge", "File descriptors that this process may have open", max);
    let start = "Start time of this process, in seconds since 1970";
    metric("process_start_time_seconds", "gauge", start, process.start_seconds);
}

impl Process {
    #[cfg(not(target_os = "linux"))]
    fn read() -> Self {
        Self::default()
    }

    #[cfg(target_os = "linux")]
    fn read() -> Self {
        use std::fs;

        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let machine = fs::read_to_string("/proc/stat").unwrap_or_default();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        // The program name, in parentheses, may contain anything; the third field follows the last parenthesis.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let boot = machine.lines().find_map(|line| line.strip_prefix("btime ")?.parse::<f64>().ok());
        Self {
            cpu_seconds: field(14).zip(field(15)).map(|(user, system)| (user + system) as f64 / ticks),
            resident_bytes: field(24).map(|pages| pages * rustix::param::page_size() as u64),
            start_seconds: boot.zip(field(22)).map(|(boot, start)| boot + start as f64 / ticks),
            // One of them is the directory that is being read.
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|open| open.count().saturating_sub(1)),
            max_fds: limits.lines().find_map(|line| {
                line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok()
            }),
        }
    }
}
