//! Conversion of snapshots into samples of the metric history.

use serde_json::Value;

use crate::domain::{HostMetrics, KernelLimit, MetricSample, Snapshot};

/// Maximum number of series of one source of an embedder; what a source measures beyond is not recorded.
const MAX_CUSTOM_SERIES: usize = 100;

/// Converts one snapshot of the machine `host` into samples, in the series that [`metric_history`](crate::metric_history)
/// lists.
pub fn samples(host: &str, snapshot: &Snapshot) -> Vec<MetricSample> {
    let mut samples = Vec::new();
    let mut add = |series: String, value: f64| {
        samples.push(MetricSample { host: host.to_owned(), series, at: snapshot.taken_at, value });
    };
    if let Some(host) = snapshot.host.value() {
        host_samples(host, &mut add);
    }
    if let Some(pressure) = snapshot.pressure.value() {
        let resources = [("cpu", &pressure.cpu), ("memory", &pressure.memory), ("io", &pressure.io)];
        for (resource, pressure) in resources {
            if let Some(pressure) = pressure {
                add(format!("pressure.{resource}.some_avg60"), pressure.some_avg60);
                if let Some(full) = pressure.full_avg60 {
                    add(format!("pressure.{resource}.full_avg60"), full);
                }
            }
        }
    }
    if let Some(group) = snapshot.cgroup.value() {
        let memory_limit = group.memory_limit_bytes.into_iter().chain(group.memory_high_bytes).min();
        let figures = [
            ("memory_used_bytes", number(group.memory_used_bytes)),
            ("memory_used_percent", share(group.memory_used_bytes, memory_limit)),
            ("pids_percent", share(group.pids, group.pids_limit)),
            ("oom_kills", number(group.oom_kills)),
            ("periods", number(group.periods)),
            ("throttled_periods", number(group.throttled_periods)),
        ];
        for (figure, value) in figures {
            if let Some(value) = value {
                add(format!("cgroup[{}].{figure}", group.path), value);
            }
        }
    }
    for container in snapshot.containers.value().iter().flat_map(|engine| &engine.containers) {
        let figures = [
            ("memory_used_bytes", number(container.memory_used_bytes)),
            ("memory_used_percent", container.memory_used_percent),
            ("cpu_percent", container.cpu_percent),
            ("pids_percent", share(container.pids, container.pids_limit)),
            ("restarts", number(container.restarts)),
            ("oom_killed", container.oom_killed.map(f64::from)),
        ];
        for (figure, value) in figures {
            if let Some(value) = value {
                add(format!("containers[{}].{figure}", container.name), value);
            }
        }
    }
    for gpu in snapshot.gpus.value().into_iter().flatten() {
        let figures = [
            ("memory_used_bytes", number(gpu.memory_used_bytes)),
            ("memory_used_percent", share(gpu.memory_used_bytes, gpu.memory_total_bytes)),
            ("celsius", gpu.celsius),
        ];
        for (figure, value) in figures {
            if let Some(value) = value {
                add(format!("gpus[{}].{figure}", gpu.index), value);
            }
        }
    }
    for (name, section) in &snapshot.custom {
        let mut numbers = Vec::new();
        if let Some(value) = section.value() {
            custom_numbers(format!("custom.{name}"), value, &mut numbers);
        }
        numbers.into_iter().for_each(|(series, value)| add(series, value));
    }
    samples
}

/// Collects the numbers of a section with their positions: the value itself, and the properties of objects in it.
fn custom_numbers(path: String, value: &Value, numbers: &mut Vec<(String, f64)>) {
    match value {
        Value::Number(number) if numbers.len() < MAX_CUSTOM_SERIES => {
            numbers.extend(number.as_f64().map(|number| (path, number)));
        }
        Value::Object(properties) => {
            for (name, value) in properties {
                custom_numbers(format!("{path}.{name}"), value, numbers);
            }
        }
        _ => {}
    }
}

fn number(count: Option<u64>) -> Option<f64> {
    count.map(|count| count as f64)
}

/// Returns a share in percent; `None` without a whole that is above 0.
fn share(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    let (part, whole) = (part?, whole.filter(|whole| *whole > 0)?);
    Some(part as f64 / whole as f64 * 100.0)
}

fn host_samples(host: &HostMetrics, add: &mut impl FnMut(String, f64)) {
    let single = [
        ("cpu.used_percent", host.cpu.used_percent),
        ("cpu.iowait_percent", host.cpu.iowait_percent),
        ("cpu.steal_percent", host.cpu.steal_percent),
        ("cpu.load[1]", host.cpu.load.map(|[one, _, _]| one)),
        ("cpu.load[5]", host.cpu.load.map(|[_, five, _]| five)),
        ("memory.used_percent", host.memory.used_percent),
        ("memory.used_bytes", number(host.memory.used_bytes)),
        ("memory.oom_kills", number(host.memory.oom_kills)),
        ("swap.used_percent", host.swap.used_percent),
        ("swap.used_bytes", number(host.swap.used_bytes)),
        ("swap.in_bytes_per_second", host.swap.in_bytes_per_second),
        ("swap.out_bytes_per_second", host.swap.out_bytes_per_second),
        ("processes.blocked", host.processes.as_ref().and_then(|processes| processes.blocked).map(f64::from)),
        ("tcp.segments_sent", number(host.tcp.as_ref().and_then(|tcp| tcp.segments_sent))),
        ("tcp.retransmitted", number(host.tcp.as_ref().and_then(|tcp| tcp.retransmitted))),
        (
            "files.open_percent",
            host.files.as_ref().and_then(|files| share(Some(files.open), Some(files.limit))),
        ),
        ("tcp.listen_overflows", number(host.tcp.as_ref().and_then(|tcp| tcp.listen_overflows))),
    ];
    for (path, value) in single {
        if let Some(value) = value {
            add(format!("host.{path}"), value);
        }
    }
    for device in &host.devices {
        add(format!("host.devices[{}].operations_per_second", device.name), device.operations_per_second);
        if let Some(latency) = device.latency_ms {
            add(format!("host.devices[{}].latency_ms", device.name), latency);
        }
    }
    for disk in &host.disks {
        add(format!("host.disks[{}].used_percent", disk.mount), disk.used_percent);
        add(format!("host.disks[{}].used_bytes", disk.mount), disk.used_bytes as f64);
        if let Some(percent) = disk.inodes_used_percent {
            add(format!("host.disks[{}].inodes_used_percent", disk.mount), percent);
        }
    }
    for process in host.processes.iter().flat_map(|processes| &processes.top) {
        add(
            format!("host.processes[{}:{}].memory_bytes", process.name, process.pid),
            process.memory_bytes as f64,
        );
        if let Some(bytes) = process.own_memory_bytes {
            let (name, pid) = (&process.name, process.pid);
            add(format!("host.processes[{name}:{pid}].own_memory_bytes"), bytes as f64);
        }
    }
    for network in &host.networks {
        let figures = [
            ("packets", Some(network.packets)),
            ("errors", Some(network.errors)),
            ("drops", network.drops),
            ("queue_drops", network.queue_drops),
            ("carrier_changes", network.carrier_changes),
        ];
        for (figure, value) in figures {
            if let Some(value) = value {
                add(format!("host.networks[{}].{figure}", network.interface), value as f64);
            }
        }
    }
    for limit in &host.limits {
        let kind = limit.limit.as_str();
        let of = limit.of.as_ref().map_or(String::new(), |of| format!(":{of}"));
        if let Some(percent) = share(Some(limit.used), Some(limit.allowed)) {
            add(format!("host.limits[{kind}{of}].used_percent"), percent);
        }
    }
    for sensor in &host.temperatures {
        add(format!("host.temperatures[{}].celsius", sensor.label), sensor.celsius);
    }
    for queue in host.limits.iter().filter(|limit| limit.limit == KernelLimit::ListenQueue) {
        let port = queue.of.as_deref().unwrap_or_default();
        add(format!("host.limits[listen_queue:{port}].used"), queue.used as f64);
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;
    use crate::domain::SnapshotPart;

    #[test]
    fn shares_are_recorded_under_the_names_of_the_evidence() {
        let mut snapshot = Snapshot::empty(DateTime::UNIX_EPOCH);
        let host = json!({
            "hostname": "one", "kernel": "6.12", "uptime_seconds": null,
            "cpu": {
                "cores": 2, "used_percent": null, "per_core_percent": [], "iowait_percent": null,
                "steal_percent": null, "load": [1.0, 2.0, 3.0], "interval_seconds": 1.0,
            },
            "memory": {
                "total_bytes": null, "used_bytes": null, "available_bytes": null, "used_percent": null,
                "oom_kills": null,
            },
            "swap": {
                "total_bytes": null, "used_bytes": null, "used_percent": null, "in_bytes_per_second": null,
                "out_bytes_per_second": null, "in_memory": null,
            },
            "disks": [], "devices": [], "networks": [], "processes": null, "clock": null,
            "temperatures": [{ "label": "k10temp", "celsius": 61.5, "critical_celsius": null }],
            "files": { "open": 50, "limit": 200 },
            "limits": [
                { "limit": "machine_tasks", "of": null, "used": 60, "allowed": 80 },
                { "limit": "user_tasks", "of": "7", "used": 3, "allowed": 0 },
                { "limit": "group_tasks", "of": "/a", "used": 9, "allowed": 10 },
            ],
        });
        snapshot.add(SnapshotPart::Host(serde_json::from_value(host).unwrap()));
        let group = json!({
            "version": 2, "path": "/b", "cpu_limit_cores": null, "throttled_periods": null, "periods": null,
            "memory_limit_bytes": 400, "memory_high_bytes": 200, "memory_used_bytes": 150, "oom_kills": null,
            "pids_limit": 50, "pids": 10,
        });
        snapshot.add(SnapshotPart::Cgroup(serde_json::from_value(group).unwrap()));
        let mut recorded: Vec<_> =
            samples("one", &snapshot).into_iter().map(|sample| (sample.series, sample.value)).collect();
        recorded.sort_by(|one, other| one.0.cmp(&other.0));
        let expected = [
            ("cgroup[/b].memory_used_bytes", 150.0),
            ("cgroup[/b].memory_used_percent", 75.0),
            ("cgroup[/b].pids_percent", 20.0),
            ("host.cpu.load[1]", 1.0),
            ("host.cpu.load[5]", 2.0),
            ("host.files.open_percent", 25.0),
            ("host.limits[group_tasks:/a].used_percent", 90.0),
            ("host.limits[machine_tasks].used_percent", 75.0),
            ("host.temperatures[k10temp].celsius", 61.5),
        ];
        assert_eq!(recorded, expected.map(|(series, value)| (series.to_owned(), value)));
    }

    #[test]
    fn numbers_of_own_sources_are_recorded_under_their_positions() {
        let mut snapshot = Snapshot::empty(DateTime::UNIX_EPOCH);
        let queue =
            json!({ "depth": 7, "name": "a", "open": true, "ages": [1, 2], "age": { "oldest": 2.5 } });
        snapshot.add(SnapshotPart::Custom("queue".to_owned(), queue));
        snapshot.add(SnapshotPart::Custom("load".to_owned(), json!(0.5)));
        let many: serde_json::Map<_, _> =
            (0..200).map(|number| (number.to_string(), json!(number))).collect();
        snapshot.add(SnapshotPart::Custom("many".to_owned(), many.into()));
        let recorded: Vec<_> =
            samples("one", &snapshot).into_iter().map(|sample| (sample.series, sample.value)).collect();
        assert_eq!(recorded[0], ("custom.load".to_owned(), 0.5));
        assert_eq!(recorded.iter().filter(|(series, _)| series.starts_with("custom.many.")).count(), 100);
        let queue = recorded.into_iter().filter(|(series, _)| series.starts_with("custom.queue"));
        let expected = [("custom.queue.depth", 7.0), ("custom.queue.age.oldest", 2.5)];
        assert_eq!(queue.collect::<Vec<_>>(), expected.map(|(series, value)| (series.to_owned(), value)));
    }
}
