//! Measurements: one snapshot of the machine, section by section, and samples over time.
//!
//! A section is present, or missing with a reason; it is never zero because it could not be read. Likewise an `Option`
//! inside a section is `None` if the value could not be read.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One section of a snapshot: measured, or missing with the reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Section<T> {
    /// The section was measured.
    Present {
        /// Values that were measured for the section.
        value: T,
    },
    /// The section could not be measured on this machine at this time.
    Missing {
        /// Reason for people, one clause.
        reason: String,
    },
}

impl<T> Section<T> {
    /// Returns the measured values, if present.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Present { value } => Some(value),
            Self::Missing { .. } => None,
        }
    }

    /// Creates a section that is missing for this reason.
    pub fn missing(reason: impl Into<String>) -> Self {
        Self::Missing { reason: reason.into() }
    }
}

impl<T> From<T> for Section<T> {
    fn from(value: T) -> Self {
        Self::Present { value }
    }
}

impl<T> Default for Section<T> {
    fn default() -> Self {
        Self::missing("no source for it is registered")
    }
}

/// Part of a snapshot that one metric source measures.
#[derive(Debug, Clone, PartialEq)]
pub enum SnapshotPart {
    /// The complete section [`HostMetrics`].
    Host(Box<HostMetrics>),
    /// Pressure stall information by resource.
    Pressure(PressureMetrics),
    /// Limits and usage of the control group of this process.
    Cgroup(CgroupMetrics),
    /// Containers of one container engine.
    Containers(ContainerMetrics),
    /// GPUs of the machine.
    Gpus(Vec<GpuMetrics>),
    /// Name of an embedder's own metric source, and the JSON value that it measured.
    Custom(String, Value),
}

/// All measured sections of the machine at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// Time at which the snapshot was taken.
    pub taken_at: DateTime<Utc>,
    /// CPU, memory, disks, networks and processes.
    pub host: Section<Box<HostMetrics>>,
    /// Pressure stall information by resource.
    pub pressure: Section<PressureMetrics>,
    /// Limits and usage of the control group of this process.
    pub cgroup: Section<CgroupMetrics>,
    /// Containers of one container engine.
    pub containers: Section<ContainerMetrics>,
    /// GPUs of the machine.
    pub gpus: Section<Vec<GpuMetrics>>,
    /// Sections of an embedder's own metric sources, by source name.
    #[serde(default)]
    pub custom: BTreeMap<String, Section<Value>>,
}

impl Snapshot {
    /// Creates a snapshot in which every section is missing.
    pub fn empty(taken_at: DateTime<Utc>) -> Self {
        Self {
            taken_at,
            host: Section::default(),
            pressure: Section::default(),
            cgroup: Section::default(),
            containers: Section::default(),
            gpus: Section::default(),
            custom: BTreeMap::new(),
        }
    }

    /// Stores a measured part in its section.
    pub fn add(&mut self, part: SnapshotPart) {
        match part {
            SnapshotPart::Host(value) => self.host = value.into(),
            SnapshotPart::Pressure(value) => self.pressure = value.into(),
            SnapshotPart::Cgroup(value) => self.cgroup = value.into(),
            SnapshotPart::Containers(value) => self.containers = value.into(),
            SnapshotPart::Gpus(value) => self.gpus = value.into(),
            SnapshotPart::Custom(name, value) => {
                self.custom.insert(name, value.into());
            }
        }
    }
}

/// Figures of a section that could not be read. They are `None` or absent in the section, and its other figures stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MissingFigures {
    /// Metric paths of the figures, such as `host.memory.used_percent`, or of a group of them, such as `host.disks`.
    pub figures: Vec<String>,
    /// Reason for people, one clause that names the file or the interface.
    pub reason: String,
}

/// CPU, memory, disks, network and processes of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostMetrics {
    /// Host name of the machine.
    pub hostname: String,
    /// Release of the running kernel.
    pub kernel: String,
    /// Name and version of the operating system, such as `Debian GNU/Linux 12 (bookworm)`, if readable.
    #[serde(default)]
    pub system: Option<String>,
    /// Seconds since boot, if readable.
    pub uptime_seconds: Option<u64>,
    /// Processor utilization over the sampling interval.
    pub cpu: CpuMetrics,
    /// Utilization of main memory.
    pub memory: MemoryMetrics,
    /// Utilization of swap space.
    pub swap: SwapMetrics,
    /// File systems on real disks, and in-memory file systems that are more than half full, by mount point.
    pub disks: Vec<DiskMetrics>,
    /// Mounts whose usage could not be read within the time limit.
    #[serde(default)]
    pub unanswered_mounts: Vec<UnansweredMount>,
    /// Block devices with their throughput.
    pub devices: Vec<DeviceMetrics>,
    /// Network interfaces except the loopback interface.
    pub networks: Vec<NetworkMetrics>,
    /// Counts of processes, and the most notable ones; `None` if the processes cannot be listed.
    pub processes: Option<ProcessMetrics>,
    /// Temperature sensors, where readable.
    pub temperatures: Vec<TemperatureMetrics>,
    /// Open files of the whole machine.
    pub files: Option<FileMetrics>,
    /// Synchronization state of the system clock, if the kernel reports it.
    pub clock: Option<ClockMetrics>,
    /// Processes that the kernel killed for lack of memory.
    #[serde(default)]
    pub kills: KillMetrics,
    /// TCP counters of this network namespace, if the kernel reports them.
    #[serde(default)]
    pub tcp: Option<TcpMetrics>,
    /// Kernel limits of which at least half is used.
    #[serde(default)]
    pub limits: Vec<LimitUse>,
    /// Earlier readings of values that rules judge by their change.
    #[serde(default)]
    pub earlier: Vec<EarlierValue>,
    /// Figures that could not be read.
    #[serde(default)]
    pub missing: Vec<MissingFigures>,
}

/// Processes that the kernel killed for lack of memory, beyond their total since boot ([`MemoryMetrics::oom_kills`]).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KillMetrics {
    /// Kills since boot in control groups that reached their own limit, if all groups count them.
    pub in_groups: Option<u64>,
    /// Kills found in the kernel's log, oldest first; `None` if the log cannot be read.
    pub logged: Option<Vec<KillInfo>>,
}

/// One process killed for lack of memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KillInfo {
    /// Seconds between the kill and this snapshot.
    pub seconds_ago: u64,
    /// Process id of the killed process.
    pub pid: u32,
    /// Process name. Untrusted text: any program may set it.
    pub process: String,
    /// Control group whose limit was reached; `None` if the machine was out of memory.
    pub group: Option<String>,
}

/// A value at an earlier reading of the same source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EarlierValue {
    /// Metric series, named as in the metric history: `host.disks[/].used_bytes`.
    pub series: String,
    /// Seconds between that reading and this snapshot.
    pub seconds_ago: f64,
    /// Value in the unit of the series.
    pub value: f64,
}

/// TCP counters since boot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TcpMetrics {
    /// Segments sent, retransmissions excluded.
    pub segments_sent: Option<u64>,
    /// Number of retransmitted segments.
    pub retransmitted: Option<u64>,
    /// Connections refused because the accept queue of a listening socket was full.
    pub listen_overflows: Option<u64>,
}

/// Utilization of one kernel limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LimitUse {
    /// Limit that is measured.
    pub limit: KernelLimit,
    /// Object that the limit applies to: the path of a control group, a user id, a port or an address; `None`: the
    /// machine.
    pub of: Option<String>,
    /// Current usage in the unit of the limit.
    pub used: u64,
    /// Maximum that the kernel allows.
    pub allowed: u64,
}

/// Kernel limit whose utilization is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KernelLimit {
    /// Processes and threads of the machine (`kernel.pid_max`, `kernel.threads-max`).
    MachineTasks,
    /// Processes and threads of a control group (`pids.max`).
    GroupTasks,
    /// Processes and threads of a user (`RLIMIT_NPROC`).
    UserTasks,
    /// inotify instances of one user.
    InotifyInstances,
    /// inotify watches of one user.
    InotifyWatches,
    /// Entries of the connection tracking table.
    TrackedConnections,
    /// Connections in the state TIME_WAIT.
    TimeWaitConnections,
    /// Local ports for outgoing connections to one address and port.
    EphemeralPorts,
    /// Connections waiting to be accepted on one listening port.
    ListenQueue,
}

impl KernelLimit {
    /// Returns the name in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MachineTasks => "machine_tasks",
            Self::GroupTasks => "group_tasks",
            Self::UserTasks => "user_tasks",
            Self::InotifyInstances => "inotify_instances",
            Self::InotifyWatches => "inotify_watches",
            Self::TrackedConnections => "tracked_connections",
            Self::TimeWaitConnections => "time_wait_connections",
            Self::EphemeralPorts => "ephemeral_ports",
            Self::ListenQueue => "listen_queue",
        }
    }
}

/// Processor utilization over the sampling interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CpuMetrics {
    /// Number of logical processors.
    pub cores: u32,
    /// Model of the processor, such as `AMD EPYC 7B13`, if readable.
    #[serde(default)]
    pub model: Option<String>,
    /// Busy share of all processors, 0 to 100, if readable.
    pub used_percent: Option<f64>,
    /// Busy share of each processor, 0 to 100; empty if not readable.
    pub per_core_percent: Vec<f64>,
    /// Share of time waiting for disks, 0 to 100, if readable.
    pub iowait_percent: Option<f64>,
    /// Share of time taken by the hypervisor, 0 to 100, if readable.
    pub steal_percent: Option<f64>,
    /// Load averages over 1, 5 and 15 minutes; `None` on a system without them.
    pub load: Option<[f64; 3]>,
    /// Length of the sampling interval in seconds.
    pub interval_seconds: f64,
}

/// Utilization of main memory in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryMetrics {
    /// Total size in bytes, if readable.
    pub total_bytes: Option<u64>,
    /// Used memory: `total_bytes - available_bytes`, if both are known.
    pub used_bytes: Option<u64>,
    /// Memory available without swapping: `MemAvailable`, plus ZFS's cache above its minimum; `None` if either cannot
    /// be read.
    pub available_bytes: Option<u64>,
    /// Used share of the memory, 0 to 100, if known.
    pub used_percent: Option<f64>,
    /// Processes killed for lack of memory since boot (`oom_kill` of `/proc/vmstat`).
    pub oom_kills: Option<u64>,
    /// Memory reserved for huge pages in bytes, used or not; it is unavailable for anything else.
    #[serde(default)]
    pub huge_pages_bytes: Option<u64>,
    /// Memory reserved for huge pages and unused, in bytes.
    #[serde(default)]
    pub huge_pages_free_bytes: Option<u64>,
}

/// Utilization of swap space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SwapMetrics {
    /// Total size in bytes; 0 without swap; `None` if not readable.
    pub total_bytes: Option<u64>,
    /// Used swap space in bytes, if readable.
    pub used_bytes: Option<u64>,
    /// Used share, 0 to 100; 0 without swap; `None` if not readable.
    pub used_percent: Option<f64>,
    /// Bytes per second read from swap over the sampling interval, if the kernel counts them.
    pub in_bytes_per_second: Option<f64>,
    /// Bytes per second written to swap over the sampling interval, if the kernel counts them.
    pub out_bytes_per_second: Option<f64>,
    /// Indicates that all swap space is compressed memory (zram) and none is on a disk; `None` if the swap areas cannot
    /// be listed.
    pub in_memory: Option<bool>,
}

/// Utilization of one mounted file system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiskMetrics {
    /// Path of the mount point.
    pub mount: String,
    /// Device or other source of the mount.
    pub device: String,
    /// Type of the file system.
    pub filesystem: String,
    /// Total size in bytes.
    pub total_bytes: u64,
    /// Used space in bytes.
    pub used_bytes: u64,
    /// Space available to unprivileged users, in bytes.
    pub available_bytes: u64,
    /// Used share as `df` computes it, `used / (used + available)`, 0 to 100.
    pub used_percent: f64,
    /// Used share of the inodes, 0 to 100, if the file system counts them.
    pub inodes_used_percent: Option<f64>,
    /// Indicates that the file system is currently mounted read-only.
    pub read_only: bool,
    /// Indicates that the file system was mounted for writing and the kernel has since made it read-only, as it does
    /// after an error; `None` if the system does not tell.
    #[serde(default)]
    pub failed: Option<bool>,
    /// Space held by deleted files that are still open; `None` if no such file is visible.
    #[serde(default)]
    pub deleted_files: Option<DeletedFiles>,
}

/// Space held by deleted files that processes still have open; it appears in no directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeletedFiles {
    /// Total size in bytes.
    pub bytes: u64,
    /// Number of deleted files that are still open.
    pub files: u64,
    /// Process id of the process that holds most.
    pub pid: u32,
    /// Name of that process. Untrusted text: any program may set it.
    pub process: String,
    /// Bytes held by that process.
    pub process_bytes: u64,
}

/// A mount whose usage could not be read within the time limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnansweredMount {
    /// Path of the mount point.
    pub mount: String,
    /// Device or other source of the mount.
    pub device: String,
    /// Type of the file system.
    pub filesystem: String,
    /// Time limit that passed, in seconds.
    pub waited_seconds: f64,
}

/// Throughput of one block device over the sampling interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceMetrics {
    /// Kernel name of the device, such as `sda`.
    pub name: String,
    /// Bytes read per second.
    pub read_bytes_per_second: f64,
    /// Bytes written per second.
    pub written_bytes_per_second: f64,
    /// Completed requests per second.
    pub operations_per_second: f64,
    /// Mean duration of a request in milliseconds; `None` without requests.
    pub latency_ms: Option<f64>,
    /// Share of time with a request in flight, 0 to 100.
    pub busy_percent: f64,
}

/// Traffic and errors of one network interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkMetrics {
    /// Name of the interface.
    pub interface: String,
    /// Bytes received per second over the sampling interval.
    pub received_bytes_per_second: f64,
    /// Bytes sent per second over the sampling interval.
    pub sent_bytes_per_second: f64,
    /// Packets since boot, in both directions.
    pub packets: u64,
    /// Faulty packets since boot, in both directions.
    pub errors: u64,
    /// Packets dropped by the interface since boot, in both directions, if the system reports them.
    pub drops: Option<u64>,
    /// Packets dropped by its queues since they were set up, in both directions, if the kernel reports them.
    #[serde(default)]
    pub queue_drops: Option<u64>,
    /// Number of times the link went up or down since the interface was set up, if the kernel reports it.
    #[serde(default)]
    pub carrier_changes: Option<u64>,
}

/// Counts of processes, and the most notable ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessMetrics {
    /// Number of processes on the machine.
    pub count: u32,
    /// Number of zombies: processes that have exited but were not waited for; `None` on a system without them.
    pub zombies: Option<u32>,
    /// Number of zombies that were zombies at the last two earlier readings as well; `None` without an earlier reading.
    #[serde(default)]
    pub lasting_zombies: Option<u32>,
    /// Parents of zombies, those with most lasting zombies first, at most 5.
    #[serde(default)]
    pub zombie_parents: Vec<ZombieParent>,
    /// Number of processes in uninterruptible sleep (state D), those in frozen control groups excluded, if the system
    /// reports this state.
    pub blocked: Option<u32>,
    /// Number of processes stopped by a signal or in a frozen control group, if the system reports this state.
    #[serde(default)]
    pub frozen: Option<u32>,
    /// Processes that use most processor time or memory, grow fastest, or are nearest to their limit of open files; at
    /// most 15, by memory in descending order.
    pub top: Vec<ProcessInfo>,
}

/// A process with children that have exited and were not waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ZombieParent {
    /// Process id of the parent.
    pub pid: u32,
    /// Process name from the kernel. Untrusted text: any program may set it.
    pub name: String,
    /// Number of its zombies.
    pub zombies: u32,
    /// Number of its zombies that were zombies at the last two earlier readings as well; `None` without an earlier
    /// reading.
    #[serde(default)]
    pub lasting_zombies: Option<u32>,
}

/// Resource usage of one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessInfo {
    /// Process id of the process.
    pub pid: u32,
    /// Process name from the kernel. Untrusted text: any program may set it.
    pub name: String,
    /// Share of one processor over the sampling interval; over 100 with several threads.
    pub cpu_percent: f64,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
    /// Memory that the kernel cannot reclaim, in bytes: anonymous and shared memory without mapped files.
    #[serde(default)]
    pub own_memory_bytes: Option<u64>,
    /// Open file descriptors, if they can be counted.
    pub open_files: Option<u64>,
    /// Limit of open file descriptors, if it can be read.
    pub open_files_limit: Option<u64>,
    /// Seconds since the process started; `None` if the clocks of process and machine disagree, as in some containers.
    pub age_seconds: Option<u64>,
}

/// Reading of one temperature sensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TemperatureMetrics {
    /// Name of the measured component.
    pub label: String,
    /// Temperature in degrees Celsius.
    pub celsius: f64,
    /// Critical temperature according to the manufacturer, if the sensor reports it.
    pub critical_celsius: Option<f64>,
}

/// Open files of the whole machine (`/proc/sys/fs/file-nr`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileMetrics {
    /// Number of files open now.
    pub open: u64,
    /// Maximum that the kernel allows.
    pub limit: u64,
}

/// Synchronization state of the system clock according to the kernel (`adjtimex(2)`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClockMetrics {
    /// Indicates that, according to the kernel, a time service keeps the clock synchronized.
    pub synchronized: bool,
    /// Maximum error estimated by the kernel, in milliseconds.
    pub max_error_ms: f64,
    /// Name of a running time service, if one was found. Some never report to the kernel.
    #[serde(default)]
    pub service: Option<String>,
}

/// Pressure stall information (`/proc/pressure`), by resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PressureMetrics {
    /// Stalls for lack of processor time, if readable.
    pub cpu: Option<Pressure>,
    /// Stalls for lack of memory, if readable.
    pub memory: Option<Pressure>,
    /// Stalls while waiting for input or output, if readable.
    pub io: Option<Pressure>,
    /// Resources whose pressure could not be read.
    #[serde(default)]
    pub missing: Vec<MissingFigures>,
}

/// Share of time in which tasks were stalled for lack of one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pressure {
    /// At least one task stalled, mean over 10 seconds, 0 to 100.
    pub some_avg10: f64,
    /// At least one task stalled, mean over 60 seconds, 0 to 100.
    pub some_avg60: f64,
    /// All tasks stalled at once, mean over 10 seconds, 0 to 100; the kernel reports none for the processor.
    pub full_avg10: Option<f64>,
    /// All tasks stalled at once, mean over 60 seconds, 0 to 100.
    pub full_avg60: Option<f64>,
}

/// Limits and usage of the control group of this process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CgroupMetrics {
    /// Version of the cgroup interface: 1 or 2.
    pub version: u8,
    /// Path of the control group.
    pub path: String,
    /// CPU limit in processors, such as 1.5; `None`: unlimited, or listed in `missing`.
    pub cpu_limit_cores: Option<f64>,
    /// Scheduling periods since its creation in which the group was throttled.
    pub throttled_periods: Option<u64>,
    /// Scheduling periods since its creation.
    pub periods: Option<u64>,
    /// Memory limit in bytes; `None`: unlimited, or listed in `missing`.
    pub memory_limit_bytes: Option<u64>,
    /// Memory usage in bytes above which the kernel throttles and reclaims (`memory.high`); `None`: not set.
    #[serde(default)]
    pub memory_high_bytes: Option<u64>,
    /// Used memory in bytes without reclaimable page cache, of the group that sets the lower of both limits.
    pub memory_used_bytes: Option<u64>,
    /// Processes of the group killed for lack of memory.
    pub oom_kills: Option<u64>,
    /// Limit of processes and threads; `None`: unlimited, or listed in `missing`.
    pub pids_limit: Option<u64>,
    /// Number of processes and threads in the group.
    pub pids: Option<u64>,
    /// Processor time in seconds that the group used since its creation, without that of this process. Only its change
    /// has a meaning, because this process may have joined the group later.
    #[serde(default)]
    pub other_cpu_seconds: Option<f64>,
    /// Earlier readings of values that rules judge by their change.
    #[serde(default)]
    pub earlier: Vec<EarlierValue>,
    /// Figures that could not be read.
    #[serde(default)]
    pub missing: Vec<MissingFigures>,
}

/// Containers of one container engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerMetrics {
    /// Name and version of the engine.
    pub engine: String,
    /// Number of running containers.
    pub running: u32,
    /// Number of all containers.
    pub total: u32,
    /// All containers, running ones first.
    pub containers: Vec<ContainerInfo>,
    /// Earlier readings of values that rules judge by their change.
    #[serde(default)]
    pub earlier: Vec<EarlierValue>,
    /// Figures that the engine did not provide.
    #[serde(default)]
    pub missing: Vec<MissingFigures>,
}

/// State and resource usage of one container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerInfo {
    /// First 12 characters of the container id.
    pub id: String,
    /// Container name. Untrusted text: whoever started it chose it.
    pub name: String,
    /// Image name. Untrusted text: whoever started the container chose it.
    pub image: String,
    /// State of the container: `running`, `exited`, `restarting`, `paused` ...
    pub state: String,
    /// Health, if it has a health check: `healthy`, `unhealthy` or `starting`.
    pub health: Option<String>,
    /// Share of one processor over the sampling interval; over 100 with several processors.
    pub cpu_percent: Option<f64>,
    /// CPU limit in processors; `None`: unlimited.
    pub cpu_limit_cores: Option<f64>,
    /// Used memory in bytes, computed as `docker stats` does.
    pub memory_used_bytes: Option<u64>,
    /// Memory limit in bytes; `None`: unlimited.
    pub memory_limit_bytes: Option<u64>,
    /// Used share of the memory limit, 0 to 100; `None` without a limit.
    pub memory_used_percent: Option<f64>,
    /// Number of processes and threads in the container.
    #[serde(default)]
    pub pids: Option<u64>,
    /// Limit of processes and threads; `None`: unlimited.
    #[serde(default)]
    pub pids_limit: Option<u64>,
    /// Number of restarts by the engine, if it described the container.
    pub restarts: Option<u64>,
    /// Indicates that its latest run was killed for lack of memory, if the engine described the container.
    pub oom_killed: Option<bool>,
    /// Exit code of its latest run, once it has exited.
    pub exit_code: Option<i64>,
    /// Seconds since its latest run began, if the engine reports it.
    #[serde(default)]
    pub started_seconds_ago: Option<u64>,
    /// Seconds since a run of it last ended; `None` if none has ended or the engine does not report it.
    #[serde(default)]
    pub finished_seconds_ago: Option<u64>,
}

/// Utilization of one GPU. Values that the driver does not report are `None`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GpuMetrics {
    /// Position on the bus, from 0.
    pub index: u32,
    /// Name of the GPU according to its driver.
    pub name: Option<String>,
    /// Busy share of the GPU, 0 to 100.
    pub used_percent: Option<f64>,
    /// Total memory in bytes.
    pub memory_total_bytes: Option<u64>,
    /// Used memory in bytes.
    pub memory_used_bytes: Option<u64>,
    /// Temperature in degrees Celsius.
    pub celsius: Option<f64>,
    /// Figures that the driver did not provide.
    #[serde(default)]
    pub missing: Vec<MissingFigures>,
}

/// Default host name of samples for an engine or a metric history that has none configured.
pub const LOCAL_HOST: &str = "localhost";

/// One sample of one metric series of one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricSample {
    /// Name of the measured machine, as its process was configured.
    pub host: String,
    /// Metric path of the series, such as `host.memory.used_percent` or `host.disks[/].used_bytes`.
    pub series: String,
    /// Time at which the value was measured.
    pub at: DateTime<Utc>,
    /// Value in the unit of the path.
    pub value: f64,
}

/// One point of a time range of a series: a single sample, or a group of consecutive samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricPoint {
    /// Time of the first sample.
    pub at: DateTime<Utc>,
    /// Mean of the samples, in the unit of the series.
    pub mean: f64,
    /// Least of the samples.
    pub min: f64,
    /// Largest of the samples.
    pub max: f64,
}

impl MetricPoint {
    /// Creates the point of one sample.
    pub fn single(at: DateTime<Utc>, value: f64) -> Self {
        Self { at, mean: value, min: value, max: value }
    }
}
