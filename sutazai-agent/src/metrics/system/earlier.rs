//! Values of earlier readings, with which rules tell current changes from those since boot.

use sutazai_core::domain::{EarlierValue, HostMetrics, KernelLimit, ProcessInfo, TcpMetrics};

use super::{Counters, cpu, devices, memory, processes};

/// Maximum age of a reading in seconds: a server that was suspended has older ones, which say nothing about now.
const MAX_AGE_SECONDS: f64 = 900.0;

/// Returns the earlier values of what is in the snapshot, the oldest reading first.
pub(super) fn earlier(host: &HostMetrics, readings: &[(f64, &Counters)]) -> Vec<EarlierValue> {
    let mut values = Vec::new();
    let mut add = |series: String, seconds_ago: f64, value: f64| {
        values.push(EarlierValue { series, seconds_ago, value });
    };
    let mut before: Option<(f64, &Counters)> = None;
    for (seconds_ago, counters) in readings.iter().filter(|(seconds_ago, _)| *seconds_ago <= MAX_AGE_SECONDS)
    {
        let ago = *seconds_ago;
        if let Some((started, first)) = before {
            between(host, [first, counters], [started, ago], |series, value| add(series, ago, value));
        }
        before = Some((ago, counters));
        of_reading(host, counters, ago, |series, value| add(series, ago, value));
    }
    values
}

/// Adds the rates between two readings, which were taken these seconds ago.
fn between(
    host: &HostMetrics,
    [first, then]: [&Counters; 2],
    [started, ago]: [f64; 2],
    mut add: impl FnMut(String, f64),
) {
    let seconds = started - ago;
    if let Some((first, then)) = first.cpu.as_ref().zip(then.cpu.as_ref()) {
        let shares = cpu::shares(first, then);
        add("host.cpu.used_percent".into(), shares.used);
        add("host.cpu.iowait_percent".into(), shares.iowait);
        add("host.cpu.steal_percent".into(), shares.steal);
    }
    if let Some((first, then)) = first.swap.as_ref().zip(then.swap.as_ref()) {
        let [read, written] = memory::swap_traffic(first, then, seconds);
        add("host.swap.in_bytes_per_second".into(), read);
        add("host.swap.out_bytes_per_second".into(), written);
    }
    for device in devices::rates(&first.devices, &then.devices, seconds) {
        if host.devices.iter().any(|one| one.name == device.name) {
            let path = |figure: &str| format!("host.devices[{}].{figure}", device.name);
            add(path("operations_per_second"), device.operations_per_second);
            if let Some(latency) = device.latency_ms {
                add(path("latency_ms"), latency);
            }
        }
    }
    // A reading that could not list the processes has none.
    let listed = !first.processes.is_empty() && !then.processes.is_empty();
    let top = host.processes.iter().filter(|_| listed).flat_map(|processes| &processes.top);
    for process in top {
        // A process that did not run yet has used nothing, even if another one had its number.
        let ran = process.age_seconds.is_none_or(|age| age as f64 + 1.0 >= ago);
        let used = || processes::cpu_percent(&first.processes, &then.processes, process.pid, seconds);
        let used = if ran { used() } else { 0.0 };
        add(format!("host.processes[{}:{}].cpu_percent", process.name, process.pid), used);
    }
}

fn of_reading(host: &HostMetrics, counters: &Counters, ago: f64, mut add: impl FnMut(String, f64)) {
    for disk in &counters.disks {
        if host.disks.iter().any(|one| one.mount == disk.mount) {
            add(format!("host.disks[{}].used_bytes", disk.mount), disk.used_bytes as f64);
        }
    }
    if !counters.processes.is_empty() {
        let blocked = counters.processes.values().filter(|one| one.blocked).count();
        add("host.processes.blocked".into(), blocked as f64);
    }
    // This process allocates memory while it measures, and the number of a younger process belonged to another one.
    let comparable = |process: &&ProcessInfo| {
        process.pid != std::process::id() && process.age_seconds.is_none_or(|age| age as f64 + 1.0 >= ago)
    };
    let top = host.processes.iter().flat_map(|processes| &processes.top);
    for process in top.filter(comparable) {
        let used = counters.processes.iter().find(|((pid, _), _)| *pid == process.pid);
        if let Some(bytes) = used.and_then(|(_, used)| used.own_memory_bytes) {
            let (name, pid) = (&process.name, process.pid);
            add(format!("host.processes[{name}:{pid}].own_memory_bytes"), bytes as f64);
        }
    }
    for network in &host.networks {
        let Some(traffic) = counters.networks.get(&network.interface) else { continue };
        let path = |figure: &str| format!("host.networks[{}].{figure}", network.interface);
        add(path("packets"), traffic.packets as f64);
        add(path("errors"), traffic.errors as f64);
        add(path("drops"), traffic.drops as f64);
        if let Some(drops) = traffic.link.queue_drops {
            add(path("queue_drops"), drops as f64);
        }
        if let Some(changes) = traffic.link.carrier_changes {
            add(path("carrier_changes"), changes as f64);
        }
    }
    if let Some(TcpMetrics { segments_sent, retransmitted, listen_overflows }) = counters.tcp {
        let counts = [
            ("segments_sent", segments_sent),
            ("retransmitted", retransmitted),
            ("listen_overflows", listen_overflows),
        ];
        for (figure, count) in counts {
            if let Some(count) = count {
                add(format!("host.tcp.{figure}"), count as f64);
            }
        }
    }
    for queue in host.limits.iter().filter(|limit| limit.limit == KernelLimit::ListenQueue) {
        let Some(port) = queue.of.as_deref() else { continue };
        let waiting = port.parse().ok().and_then(|port: u16| counters.listeners.get(&port));
        add(
            format!("host.limits[listen_queue:{port}].used"),
            waiting.map_or(0.0, |(waiting, _)| f64::from(*waiting)),
        );
    }
}
