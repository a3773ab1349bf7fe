//! Source of the section `host` through the crate `sysinfo`, for macOS, Windows and FreeBSD.
//!
//! It is compiled and tested on Linux too, where its figures are compared with those of the readers of `/proc` and
//! `/sys`. Linux itself is measured by those readers, for what they take and for what they know. Medians on two
//! cores with 128 processes, of 60 readings for processor and memory and of 200 for the others, in microseconds:
//!
//! | section | readers | `sysinfo` | reason for the readers |
//! |---|---|---|---|
//! | processor | 44 | 41 | time lost to disks and to the hypervisor |
//! | load | 2 | 5 | twice as fast |
//! | memory | 27 | 21 | killed processes, huge pages, cache of ZFS; traffic and kind of the swap space |
//! | disks | 57 | 32 | see below |
//! | devices | 18 | 50 | twice as fast; requests, latency and busy time |
//! | networks | 46 | 324 | seven times as fast; drops and carrier changes, which are most of the 46 |
//! | processes | 1,850 | 3,290 | memory without mapped files, users and threads; frozen control groups |
//! | sensors | 6 | 6 | sensors that report themselves as broken are left out |
//!
//! Where `sysinfo` is as fast, the readers need the same file for the figures that it lacks, so both together would read
//! it twice. Its disks are also wrong for our purpose: it knows neither free blocks nor inodes, so the reserve of `ext4`,
//! 5 % by default, counts as used; each dataset of a ZFS pool is a disk; and one hanging FUSE mount stops the reading.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use sutazai_core::adapter::analysis_budget::SOURCE_TIMEOUT;
use sutazai_core::domain::{
    CpuMetrics, DiskMetrics, HostMetrics, KillMetrics, MemoryMetrics, NetworkMetrics, ProcessInfo,
    ProcessMetrics, SnapshotPart, SwapMetrics, TemperatureMetrics, ZombieParent,
};
use sutazai_core::ports::{Clock, MetricSource, SystemClock};
use sutazai_core::{Error, Result};
use sysinfo::{
    Components, Cpu, DiskRefreshKind, Disks, Networks, Process, ProcessRefreshKind, ProcessStatus,
    ProcessesToUpdate, System,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::baseline::{Baseline, FIRST_INTERVAL};
use super::host_name::host_name;
use super::missing::Missing;
use super::own_thread::{Deadline, on_own_thread};

/// Minimum number of listed processes, and number of those listed for their processor time alone.
const TOP: usize = 10;
const TOP_BY_CPU: usize = 5;
/// Maximum number of listed parents of zombies.
const MAX_PARENTS: usize = 5;

/// Metric paths of the figures that `sysinfo` provides on no system, or that this source does not take from it.
const LINUX_ONLY: [&str; 22] = [
    "host.cpu.iowait_percent",
    "host.cpu.steal_percent",
    "host.memory.oom_kills",
    "host.memory.huge_pages_bytes",
    "host.memory.huge_pages_free_bytes",
    "host.swap.in_bytes_per_second",
    "host.swap.out_bytes_per_second",
    "host.swap.in_memory",
    "host.disks.inodes_used_percent",
    "host.disks.failed",
    "host.disks.deleted_files",
    "host.unanswered_mounts",
    "host.devices",
    "host.networks.drops",
    "host.networks.queue_drops",
    "host.networks.carrier_changes",
    "host.processes.top.own_memory_bytes",
    "host.files",
    "host.clock",
    "host.kills",
    "host.tcp",
    "host.limits",
];

/// Metric path of the figures that need an earlier list of zombies, which this source does not keep.
const LASTING_ZOMBIES: [&str; 2] =
    ["host.processes.lasting_zombies", "host.processes.zombie_parents.lasting_zombies"];

/// Figures that `sysinfo` fills on this system with a constant instead of a measurement, with the reason.
const CONSTANT: &[(&[&str], &str)] = &[
    #[cfg(target_os = "windows")]
    (
        &[
            "host.processes.zombies",
            "host.processes.zombie_parents",
            "host.processes.blocked",
            "host.processes.frozen",
        ],
        "Windows does not report states of processes",
    ),
    #[cfg(target_os = "windows")]
    (
        &["host.swap.used_bytes", "host.swap.used_percent"],
        "Windows reports the committed memory, not the used part of the page file",
    ),
    #[cfg(not(any(target_os = "linux", target_os = "windows")))]
    (&["host.processes.blocked"], "this system does not report uninterruptible sleep"),
    #[cfg(not(target_os = "linux"))]
    (&["host.processes.top.open_files_limit"], "this system does not report the limits of other processes"),
];

/// Returns whether a figure is measured on this system.
fn is_measured(figure: &str) -> bool {
    !CONSTANT.iter().any(|(figures, _)| figures.contains(&figure))
}

/// Metric source for the processor, memory, disks, networks, processes and sensors of any system that `sysinfo` knows.
#[derive(Debug)]
pub struct PortableMetricSource {
    reader: Arc<Mutex<Option<Reader>>>,
}

impl PortableMetricSource {
    /// Creates a source that takes its first reading when it is first collected.
    pub fn new() -> Self {
        Self { reader: Arc::default() }
    }
}

impl Default for PortableMetricSource {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl MetricSource for PortableMetricSource {
    fn name(&self) -> &str {
        "host"
    }

    async fn collect(&self) -> Result<SnapshotPart> {
        let mut reader = self.reader.clone().lock_owned().await;
        if reader.as_ref().is_none_or(|reader| reader.baseline.at(Instant::now()).is_none()) {
            reader = blocking(reader, |reader| {
                reader.count();
                Ok(())
            })
            .await?
            .0;
            SystemClock.sleep(FIRST_INTERVAL).await;
        }
        let (_, host) = blocking(reader, Reader::measure).await?;
        Ok(SnapshotPart::Host(Box::new(host)))
    }
}

/// Runs blocking work of the reader on a dedicated thread, and returns the reader with the result.
async fn blocking<T: Send + 'static>(
    mut reader: OwnedMutexGuard<Option<Reader>>,
    work: impl FnOnce(&mut Reader) -> Result<T> + Send + 'static,
) -> Result<(OwnedMutexGuard<Option<Reader>>, T)> {
    on_own_thread("host", Deadline::after(SOURCE_TIMEOUT), move || {
        let opened = match reader.take() {
            Some(opened) => opened,
            None => Reader::open()?,
        };
        let result = work(reader.insert(opened));
        result.map(|result| (reader, result))
    })
    .await
}

/// Counters of one reading.
#[derive(Debug, Clone, Default)]
struct Counters {
    /// Bytes received and sent by each interface.
    networks: BTreeMap<String, [u64; 2]>,
    /// Processor time of each process in milliseconds, by process id and start time, because ids are reused.
    processes: HashMap<(u32, u64), u64>,
}

/// State of `sysinfo`, and the counters of earlier readings.
#[derive(Debug)]
struct Reader {
    system: System,
    disks: Disks,
    networks: Networks,
    sensors: Option<Components>,
    baseline: Baseline<Counters>,
}

impl Reader {
    fn open() -> Result<Self> {
        let failed = |e| Error::unavailable("this system cannot be measured").with_source(e);
        Ok(Self {
            system: System::new().map_err(failed)?,
            disks: Disks::new().map_err(failed)?,
            networks: Networks::new().map_err(failed)?,
            sensors: Components::new().ok(),
            baseline: Baseline::default(),
        })
    }

    /// Takes a reading and keeps its counters for later rates.
    fn count(&mut self) -> Counters {
        let now = Instant::now();
        self.system.refresh_cpu_usage();
        self.networks.refresh(true);
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        let counters = Counters {
            networks: self
                .networks
                .iter()
                .map(|(name, data)| {
                    (name.to_string_lossy().into_owned(), [data.total_received(), data.total_transmitted()])
                })
                .collect(),
            processes: self
                .system
                .processes()
                .values()
                .map(|process| (key(process), process.accumulated_cpu_time()))
                .collect(),
        };
        self.baseline.push(now, counters.clone());
        counters
    }

    fn measure(&mut self) -> Result<HostMetrics> {
        let without_baseline = || Error::internal("expected a baseline reading before the first collection");
        let (before, seconds) = self.baseline.at(Instant::now()).ok_or_else(without_baseline)?;
        let before = before.clone();
        let now = self.count();
        self.system.refresh_memory();
        self.disks.refresh_specifics(true, DiskRefreshKind::nothing().with_storage());
        let mut missing = Missing::default();
        missing.add(&LINUX_ONLY, "the source for this system does not measure them");
        missing.add(&LASTING_ZOMBIES, "the source for this system keeps no earlier list of processes");
        for (figures, reason) in CONSTANT {
            missing.add(figures, reason);
        }
        match &mut self.sensors {
            Some(sensors) => sensors.refresh(true),
            None => missing.add(&["host.temperatures"], "the sensors of this system cannot be read"),
        }
        Ok(HostMetrics {
            hostname: host_name(),
            kernel: System::kernel_version().unwrap_or_else(|_| "unknown".to_owned()),
            system: missing.keep(&["host.system"], reported(System::long_os_version())),
            uptime_seconds: missing.keep(&["host.uptime_seconds"], reported(System::uptime())),
            cpu: self.cpu(seconds, &mut missing)?,
            memory: self.memory()?,
            swap: self.swap(),
            disks: disks(&self.disks),
            unanswered_mounts: Vec::new(),
            devices: Vec::new(),
            networks: networks(&self.networks, &before, &now, seconds),
            processes: Some(processes(&self.system, &before, seconds)),
            temperatures: self.sensors.as_ref().map(temperatures).unwrap_or_default(),
            files: None,
            clock: None,
            kills: KillMetrics::default(),
            tcp: None,
            limits: Vec::new(),
            earlier: Vec::new(),
            missing: missing.into_figures(),
        })
    }
}

impl Reader {
    fn cpu(&self, seconds: f64, missing: &mut Missing) -> Result<CpuMetrics> {
        let cores = self.system.cpus();
        if cores.is_empty() {
            return Err(Error::unavailable("no processor is reported"));
        }
        // Windows has none.
        let load = missing.keep(&["host.cpu.load"], reported(System::load_average()));
        Ok(CpuMetrics {
            cores: cores.len() as u32,
            model: missing.keep(&["host.cpu.model"], model(cores)),
            used_percent: Some(share(self.system.global_cpu_usage())),
            per_core_percent: cores.iter().map(|core| share(core.usage())).collect(),
            iowait_percent: None,
            steal_percent: None,
            load: load.map(|load| [load.one, load.five, load.fifteen]),
            interval_seconds: seconds,
        })
    }

    fn memory(&self) -> Result<MemoryMetrics> {
        let total = self.system.total_memory();
        if total == 0 {
            return Err(Error::unavailable("the size of the memory cannot be read"));
        }
        let available = self.system.available_memory().min(total);
        Ok(MemoryMetrics {
            total_bytes: Some(total),
            used_bytes: Some(total - available),
            available_bytes: Some(available),
            used_percent: Some(percent(total - available, total)),
            oom_kills: None,
            huge_pages_bytes: None,
            huge_pages_free_bytes: None,
        })
    }

    fn swap(&self) -> SwapMetrics {
        let total = self.system.total_swap();
        let used = is_measured("host.swap.used_bytes").then(|| self.system.used_swap());
        SwapMetrics {
            total_bytes: Some(total),
            used_bytes: used,
            used_percent: used.map(|used| percent(used, total)),
            in_bytes_per_second: None,
            out_bytes_per_second: None,
            in_memory: None,
        }
    }
}

/// Returns each disk once, at its shortest mount point, sorted by it. Space that is reserved for the system counts as
/// used, because it cannot be told apart.
fn disks(all: &Disks) -> Vec<DiskMetrics> {
    let mut found: Vec<DiskMetrics> = all
        .iter()
        .filter(|disk| disk.total_space() > 0)
        .map(|disk| {
            let total = disk.total_space();
            let available = disk.available_space().min(total);
            DiskMetrics {
                mount: disk.mount_point().to_string_lossy().into_owned(),
                device: disk.name().to_string_lossy().into_owned(),
                filesystem: disk.file_system().to_string_lossy().into_owned(),
                total_bytes: total,
                used_bytes: total - available,
                available_bytes: available,
                used_percent: percent(total - available, total),
                inodes_used_percent: None,
                read_only: disk.is_read_only(),
                failed: None,
                deleted_files: None,
            }
        })
        .collect();
    found.sort_by(|one, other| (one.mount.len(), &one.mount).cmp(&(other.mount.len(), &other.mount)));
    let mut seen = HashSet::new();
    // Drives of Windows may have no label; each is a disk of its own.
    found.retain(|disk| disk.device.is_empty() || seen.insert(disk.device.clone()));
    found.sort_by(|one, other| one.mount.cmp(&other.mount));
    found
}

/// Computes the traffic since `before`; an interface that it lacks is left out, and so is loopback.
fn networks(all: &Networks, before: &Counters, now: &Counters, seconds: f64) -> Vec<NetworkMetrics> {
    let interfaces = now.networks.iter().filter(|(name, _)| !["lo", "lo0"].contains(&name.as_str()));
    interfaces
        .filter_map(|(name, totals)| {
            let then = before.networks.get(name)?;
            let rate = |at: usize| totals[at].saturating_sub(then[at]) as f64 / seconds;
            let data = all.get(std::ffi::OsStr::new(name))?;
            Some(NetworkMetrics {
                interface: name.clone(),
                received_bytes_per_second: rate(0),
                sent_bytes_per_second: rate(1),
                packets: data.total_packets_received() + data.total_packets_transmitted(),
                errors: data.total_errors_on_received() + data.total_errors_on_transmitted(),
                drops: None,
                queue_drops: None,
                carrier_changes: None,
            })
        })
        .collect()
}

/// Counts the processes, and lists those with most processor time since `before` and those with most memory, by memory.
fn processes(system: &System, before: &Counters, seconds: f64) -> ProcessMetrics {
    let all: Vec<&Process> = system.processes().values().collect();
    let count = |figure: &str, states: &[ProcessStatus]| {
        is_measured(figure).then(|| all.iter().filter(|one| states.contains(&one.status())).count() as u32)
    };
    let spent = |process: &Process| {
        let then = before.processes.get(&key(process)).copied().unwrap_or(0);
        process.accumulated_cpu_time().saturating_sub(then)
    };
    let mut top: Vec<(u64, &Process)> = all.iter().map(|process| (spent(process), *process)).collect();
    top.sort_by_key(|(spent, process)| std::cmp::Reverse((*spent, process.memory())));
    let busy = top.iter().take(TOP_BY_CPU).filter(|(spent, _)| *spent > 0).count();
    top[busy..].sort_by_key(|(_, process)| std::cmp::Reverse(process.memory()));
    top.truncate(TOP);
    top.sort_by_key(|(_, process)| std::cmp::Reverse((process.memory(), process.pid())));
    ProcessMetrics {
        count: all.len() as u32,
        zombies: count("host.processes.zombies", &[ProcessStatus::Zombie]),
        lasting_zombies: None,
        zombie_parents: zombie_parents(&all),
        blocked: count("host.processes.blocked", &[ProcessStatus::UninterruptibleDiskSleep]),
        frozen: count("host.processes.frozen", &[ProcessStatus::Stop, ProcessStatus::Tracing]),
        top: top.into_iter().map(|(spent, process)| info(process, spent, seconds)).collect(),
    }
}

fn info(process: &Process, spent_ms: u64, seconds: f64) -> ProcessInfo {
    ProcessInfo {
        pid: process.pid().as_u32(),
        name: process.name().to_string_lossy().into_owned(),
        cpu_percent: spent_ms as f64 / 1_000.0 / seconds * 100.0,
        memory_bytes: process.memory(),
        own_memory_bytes: None,
        open_files: process.open_files().map(|files| files as u64),
        open_files_limit: is_measured("host.processes.top.open_files_limit")
            .then(|| process.open_files_limit())
            .flatten()
            .map(|limit| limit as u64),
        age_seconds: Some(process.run_time()),
    }
}

fn zombie_parents(all: &[&Process]) -> Vec<ZombieParent> {
    let mut counts: HashMap<_, u32> = HashMap::new();
    for zombie in all.iter().filter(|one| one.status() == ProcessStatus::Zombie) {
        *counts.entry(zombie.parent()).or_default() += 1;
    }
    let parent = |process: &&Process| {
        let zombies = *counts.get(&Some(process.pid()))?;
        let name = process.name().to_string_lossy().into_owned();
        Some(ZombieParent { pid: process.pid().as_u32(), name, zombies, lasting_zombies: None })
    };
    let mut parents: Vec<ZombieParent> = all.iter().filter_map(parent).collect();
    parents.sort_by_key(|parent| (std::cmp::Reverse(parent.zombies), parent.pid));
    parents.truncate(MAX_PARENTS);
    parents
}

fn temperatures(sensors: &Components) -> Vec<TemperatureMetrics> {
    // A sensor has tenths of a degree; the float of `sysinfo` has seven digits.
    let tenths = |celsius: f32| (f64::from(celsius) * 10.0).round() / 10.0;
    let sensor = |sensor: &sysinfo::Component| {
        Some(TemperatureMetrics {
            label: sensor.label().to_owned(),
            celsius: tenths(sensor.temperature().filter(|celsius| celsius.is_finite())?),
            critical_celsius: sensor.critical().filter(|critical| *critical > 0.0).map(tenths),
        })
    };
    let mut found: Vec<TemperatureMetrics> = sensors.iter().filter_map(sensor).collect();
    found.sort_by(|one, other| one.label.cmp(&other.label));
    found
}

/// Returns whether the file system of a path responds within `limit`. A thread queries it, because only Linux has the
/// program that a child process would run; it ends when the file system answers or this process ends.
#[cfg(not(target_os = "linux"))]
pub async fn answers(path: &std::path::Path, limit: std::time::Duration) -> bool {
    let (sender, answer) = tokio::sync::oneshot::channel();
    let path = path.to_owned();
    std::thread::spawn(move || {
        let _ = std::fs::metadata(path);
        // The receiver may have given up already.
        let _ = sender.send(());
    });
    tokio::time::timeout(limit, answer).await.is_ok()
}

/// Returns a figure that `sysinfo` may not know, with a reason for people.
fn reported<T>(figure: std::result::Result<T, sysinfo::Error>) -> Result<T> {
    figure.map_err(|e| Error::unavailable("this system does not report it").with_source(e))
}

/// Returns the model of the processor.
///
/// # Errors
/// `Unavailable` if the system does not report it.
fn model(cores: &[Cpu]) -> Result<String> {
    let model = cores.first().map(|core| core.brand().trim()).filter(|model| !model.is_empty());
    model.map(str::to_owned).ok_or_else(|| Error::unavailable("this system does not report it"))
}

fn key(process: &Process) -> (u32, u64) {
    (process.pid().as_u32(), process.start_time())
}

/// Limits a share in percent to 0 to 100, which rounding may exceed.
fn share(percent: f32) -> f64 {
    f64::from(percent).clamp(0.0, 100.0)
}

/// Returns `part` of `whole` in percent; 0 if `whole` is zero.
fn percent(part: u64, whole: u64) -> f64 {
    if whole > 0 { part as f64 / whole as f64 * 100.0 } else { 0.0 }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;
