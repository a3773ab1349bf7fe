//! What was measured: one snapshot of the machine, section by section, and samples over time.
//!
//! A section is measured or it is missing with a reason; it is never zero because it could not be read. The
//! same holds inside a section: an `Option` that is `None` was not to be had.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A part of a snapshot: measured, or missing with the reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Section<T> {
    /// Measured.
    Present {
        /// What was measured.
        value: T,
    },
    /// Not to be had on this machine, now.
    Missing {
        /// Why.
        reason: String,
    },
}

impl<T> Section<T> {
    /// The measurement, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Present { value } => Some(value),
            Self::Missing { .. } => None,
        }
    }

    /// Missing for this reason.
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

/// What one metric source contributes to a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub enum SnapshotPart {
    /// Everything of [`HostMetrics`].
    Host(Box<HostMetrics>),
    /// Pressure stall information.
    Pressure(PressureMetrics),
    /// The control group that this process lives in.
    Cgroup(CgroupMetrics),
    /// Containers of one engine.
    Containers(ContainerMetrics),
    /// GPUs.
    Gpus(Vec<GpuMetrics>),
    /// What an embedder's own source measured: its name and a JSON value.
    Custom(String, Value),
}

/// The machine at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When.
    pub taken_at: DateTime<Utc>,
    /// CPU, memory, disks, network, processes.
    pub host: Section<Box<HostMetrics>>,
    /// Pressure stall information.
    pub pressure: Section<PressureMetrics>,
    /// The control group that this process lives in.
    pub cgroup: Section<CgroupMetrics>,
    /// Containers.
    pub containers: Section<ContainerMetrics>,
    /// GPUs.
    pub gpus: Section<Vec<GpuMetrics>>,
    /// Sections of an embedder's own sources, by source name.
    #[serde(default)]
    pub custom: BTreeMap<String, Section<Value>>,
}

impl Snapshot {
    /// A snapshot in which everything is still missing.
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

    /// Puts a measured part in its section.
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

/// CPU, memory, disks, network and processes of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostMetrics {
    /// Host name.
    pub hostname: String,
    /// Kernel release.
    pub kernel: String,
    /// Seconds since boot, where they can be read.
    pub uptime_seconds: Option<u64>,
    /// Processor time.
    pub cpu: CpuMetrics,
    /// Main memory.
    pub memory: MemoryMetrics,
    /// Swap space.
    pub swap: SwapMetrics,
    /// File systems on real disks and those in memory that are over half full, by mount point.
    pub disks: Vec<DiskMetrics>,
    /// Mounts that did not say in time how full they are.
    #[serde(default)]
    pub unanswered_mounts: Vec<UnansweredMount>,
    /// Block devices.
    pub devices: Vec<DeviceMetrics>,
    /// Network interfaces, loopback left out.
    pub networks: Vec<NetworkMetrics>,
    /// Processes.
    pub processes: ProcessMetrics,
    /// Temperatures, where sensors can be read.
    pub temperatures: Vec<TemperatureMetrics>,
    /// Open files of the whole machine.
    pub files: Option<FileMetrics>,
    /// How far the system clock may be off, where the kernel says so.
    pub clock: Option<ClockMetrics>,
    /// Processes that the kernel killed for lack of memory.
    #[serde(default)]
    pub kills: KillMetrics,
    /// TCP of this network namespace, where the kernel counts it.
    #[serde(default)]
    pub tcp: Option<TcpMetrics>,
    /// Limits of the kernel of which at least half is used.
    #[serde(default)]
    pub limits: Vec<LimitUse>,
    /// Earlier readings of values that are judged by how they change.
    #[serde(default)]
    pub earlier: Vec<EarlierValue>,
}

/// Processes that the kernel killed for lack of memory, apart from their number since boot
/// ([`MemoryMetrics::oom_kills`]).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KillMetrics {
    /// Kills since boot in control groups that reached their own limit, where all groups count them.
    pub in_groups: Option<u64>,
    /// Kills that the kernel's log still has, oldest first; none where the log cannot be read.
    pub logged: Option<Vec<KillInfo>>,
}

/// One kill for lack of memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KillInfo {
    /// Seconds before this snapshot.
    pub seconds_ago: u64,
    /// Number of the process.
    pub pid: u32,
    /// Its name. Untrusted text: any program may set it.
    pub process: String,
    /// The control group whose limit was reached; none where the machine had no memory left.
    pub group: Option<String>,
}

/// A value as it was at an earlier reading of the same source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EarlierValue {
    /// The series, named as in the metric history: `host.disks[/].used_bytes`.
    pub series: String,
    /// Seconds before this snapshot.
    pub seconds_ago: f64,
    /// The value, in the unit of the series.
    pub value: f64,
}

/// Counters of TCP since boot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TcpMetrics {
    /// Segments sent, repeated ones left out.
    pub segments_sent: u64,
    /// Segments sent again.
    pub retransmitted: u64,
    /// Connections refused because the queue of a listening socket was full.
    pub listen_overflows: Option<u64>,
}

/// How much of one limit of the kernel is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitUse {
    /// Which limit.
    pub limit: KernelLimit,
    /// Whose: the path of a control group, the number of a user or a port, an address; none of the machine.
    pub of: Option<String>,
    /// In use now.
    pub used: u64,
    /// Allowed at most.
    pub allowed: u64,
}

/// A limit of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelLimit {
    /// Processes and threads of the machine (`kernel.pid_max`, `kernel.threads-max`).
    MachineTasks,
    /// Processes and threads of a control group (`pids.max`).
    GroupTasks,
    /// Processes and threads of a user (`RLIMIT_NPROC`).
    UserTasks,
    /// inotify instances of a user.
    InotifyInstances,
    /// inotify watches of a user.
    InotifyWatches,
    /// Entries of the connection tracking table.
    TrackedConnections,
    /// Connections in the state TIME_WAIT.
    TimeWaitConnections,
    /// Local ports for outgoing connections to one address and port.
    EphemeralPorts,
    /// Connections that wait to be accepted on one listening port.
    ListenQueue,
}

impl KernelLimit {
    /// In snake case.
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

/// Processor time over the sampling interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CpuMetrics {
    /// Logical processors.
    pub cores: u32,
    /// Busy share of all of them, 0 to 100.
    pub used_percent: f64,
    /// Busy share of each, 0 to 100.
    pub per_core_percent: Vec<f64>,
    /// Share waiting for disks, 0 to 100.
    pub iowait_percent: f64,
    /// Share taken by the hypervisor, 0 to 100.
    pub steal_percent: f64,
    /// Run queue averages over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Length of the sampling interval in seconds.
    pub interval_seconds: f64,
}

/// Main memory in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryMetrics {
    /// All of it.
    pub total_bytes: u64,
    /// `total_bytes - available_bytes`.
    pub used_bytes: u64,
    /// What can be had without swapping: `MemAvailable`, and what ZFS's cache holds above its minimum.
    pub available_bytes: u64,
    /// Used share, 0 to 100.
    pub used_percent: f64,
    /// Processes killed for want of memory since boot (`oom_kill` of `/proc/vmstat`).
    pub oom_kills: Option<u64>,
    /// Reserved for huge pages, in bytes, whether in use or not: no other memory can be had of it.
    #[serde(default)]
    pub huge_pages_bytes: Option<u64>,
    /// Reserved for huge pages and in use by nothing, in bytes.
    #[serde(default)]
    pub huge_pages_free_bytes: Option<u64>,
}

/// Swap space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SwapMetrics {
    /// All of it, in bytes; 0 where there is none.
    pub total_bytes: u64,
    /// In use, in bytes.
    pub used_bytes: u64,
    /// Used share, 0 to 100; 0 where there is none.
    pub used_percent: f64,
    /// Bytes a second read back from swap over the sampling interval, where the kernel counts them.
    pub in_bytes_per_second: Option<f64>,
    /// Bytes a second written to swap over the sampling interval, where the kernel counts them.
    pub out_bytes_per_second: Option<f64>,
    /// All of it is compressed memory (zram) and none on a disk.
    #[serde(default)]
    pub in_memory: bool,
}

/// One mounted file system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiskMetrics {
    /// Mount point.
    pub mount: String,
    /// Device or source.
    pub device: String,
    /// File-system type.
    pub filesystem: String,
    /// Size in bytes.
    pub total_bytes: u64,
    /// In use, in bytes.
    pub used_bytes: u64,
    /// Free for ordinary users, in bytes.
    pub available_bytes: u64,
    /// `used / (used + available)`, as `df` counts, 0 to 100.
    pub used_percent: f64,
    /// Inodes in use, 0 to 100, where the file system counts them.
    pub inodes_used_percent: Option<f64>,
    /// Cannot be written now.
    pub read_only: bool,
    /// Mounted for writing, and made read-only by the kernel since, as it does after an error.
    #[serde(default)]
    pub failed: bool,
    /// What deleted files hold that processes still have open; none where there is none that can be seen.
    #[serde(default)]
    pub deleted_files: Option<DeletedFiles>,
}

/// Space of deleted files that processes still have open: no folder shows them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeletedFiles {
    /// What all of them hold, in bytes.
    pub bytes: u64,
    /// How many there are.
    pub files: u64,
    /// Number of the process that holds most.
    pub pid: u32,
    /// Name of that process. Untrusted text: any program may set it.
    pub process: String,
    /// What that process holds, in bytes.
    pub process_bytes: u64,
}

/// A mount that did not say in time how full it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnansweredMount {
    /// Mount point.
    pub mount: String,
    /// Device or source.
    pub device: String,
    /// File-system type.
    pub filesystem: String,
    /// How long it had for its answer, in seconds.
    pub waited_seconds: f64,
}

/// One block device over the sampling interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceMetrics {
    /// Kernel name, such as `sda`.
    pub name: String,
    /// Bytes a second read.
    pub read_bytes_per_second: f64,
    /// Bytes a second written.
    pub written_bytes_per_second: f64,
    /// Requests ended a second.
    pub operations_per_second: f64,
    /// Mean time a request took, in milliseconds; none when there was no request.
    pub latency_ms: Option<f64>,
    /// Share of the time with a request under way, 0 to 100.
    pub busy_percent: f64,
}

/// One network interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkMetrics {
    /// Its name.
    pub interface: String,
    /// Bytes a second received over the sampling interval.
    pub received_bytes_per_second: f64,
    /// Bytes a second sent over the sampling interval.
    pub sent_bytes_per_second: f64,
    /// Packets since boot, both ways.
    pub packets: u64,
    /// Faulty packets since boot, both ways.
    pub errors: u64,
    /// Packets dropped by the interface since boot, both ways.
    pub drops: u64,
    /// Packets dropped by its queues since they were set up, both ways, where the kernel tells.
    #[serde(default)]
    pub queue_drops: Option<u64>,
    /// How often its link went up or down since it was set up, where the kernel tells.
    #[serde(default)]
    pub carrier_changes: Option<u64>,
}

/// Processes of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessMetrics {
    /// How many there are.
    pub count: u32,
    /// How many have ended but were not waited for.
    pub zombies: u32,
    /// Parents of the zombies, those with most zombies first, at most five.
    #[serde(default)]
    pub zombie_parents: Vec<ZombieParent>,
    /// How many wait in the kernel and cannot be interrupted (state D), those in frozen control groups left out.
    pub blocked: u32,
    /// How many are stopped by a signal or in a frozen control group.
    #[serde(default)]
    pub frozen: u32,
    /// Those that use most processor time and most memory, that grow most, or that are nearest to their limit of open
    /// files; at most fifteen, most memory first.
    pub top: Vec<ProcessInfo>,
}

/// A process with children that it has not waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ZombieParent {
    /// Its number.
    pub pid: u32,
    /// Its name as the kernel has it. Untrusted text: any program may set it.
    pub name: String,
    /// Its zombies.
    pub zombies: u32,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Its number.
    pub pid: u32,
    /// Its name as the kernel has it. Untrusted text: any program may set it.
    pub name: String,
    /// Share of one processor over the sampling interval; over 100 with several threads.
    pub cpu_percent: f64,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
    /// What of it the kernel cannot drop, in bytes: anonymous and shared memory, without mapped files.
    #[serde(default)]
    pub own_memory_bytes: Option<u64>,
    /// Open file descriptors, where they can be counted.
    pub open_files: Option<u64>,
    /// Its limit of open file descriptors.
    pub open_files_limit: Option<u64>,
    /// Seconds since it began; none where the times of the process and of the machine do not agree, as in some containers.
    pub age_seconds: Option<u64>,
}

/// One temperature sensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemperatureMetrics {
    /// What is measured.
    pub label: String,
    /// Degrees Celsius.
    pub celsius: f64,
    /// From where the maker calls it critical, where the sensor says so.
    pub critical_celsius: Option<f64>,
}

/// Open files of the whole machine (`/proc/sys/fs/file-nr`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileMetrics {
    /// Open now.
    pub open: u64,
    /// The kernel's limit.
    pub limit: u64,
}

/// What the kernel says of its clock (`adjtimex(2)`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClockMetrics {
    /// Whether the kernel was told that a time service keeps it in step.
    pub synchronized: bool,
    /// The greatest error the kernel reckons with, in milliseconds.
    pub max_error_ms: f64,
    /// Name of a time service that runs, where one was seen. Some never tell the kernel.
    #[serde(default)]
    pub service: Option<String>,
}

/// Pressure stall information (`/proc/pressure`), by resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PressureMetrics {
    /// Processor.
    pub cpu: Pressure,
    /// Memory.
    pub memory: Pressure,
    /// Input and output.
    pub io: Pressure,
}

/// Share of the time in which work was stalled for want of one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    /// At least one task stalled, mean over 10 seconds, 0 to 100.
    pub some_avg10: f64,
    /// At least one task stalled, mean over 60 seconds, 0 to 100.
    pub some_avg60: f64,
    /// All tasks stalled at once, mean over 10 seconds, 0 to 100; the kernel has none for the processor.
    pub full_avg10: Option<f64>,
    /// All tasks stalled at once, mean over 60 seconds, 0 to 100.
    pub full_avg60: Option<f64>,
}

/// The control group that this process lives in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CgroupMetrics {
    /// 1 or 2.
    pub version: u8,
    /// Path of the group.
    pub path: String,
    /// Processors it may use, such as 1.5; none: no limit.
    pub cpu_limit_cores: Option<f64>,
    /// Scheduling periods in which it was throttled, since it began.
    pub throttled_periods: Option<u64>,
    /// Scheduling periods since it began.
    pub periods: Option<u64>,
    /// Memory it may use, in bytes; none: no limit.
    pub memory_limit_bytes: Option<u64>,
    /// Memory above which the kernel slows it down and takes memory back, in bytes (`memory.high`); none: no such limit.
    #[serde(default)]
    pub memory_high_bytes: Option<u64>,
    /// Memory in use, in bytes, page cache that can be dropped left out: of the group that sets the lower of both limits.
    pub memory_used_bytes: Option<u64>,
    /// Processes of it killed for want of memory.
    pub oom_kills: Option<u64>,
    /// Processes it may have; none: no limit.
    pub pids_limit: Option<u64>,
    /// Processes it has.
    pub pids: Option<u64>,
}

/// Containers of one engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerMetrics {
    /// The engine and its version.
    pub engine: String,
    /// How many run.
    pub running: u32,
    /// How many there are.
    pub total: u32,
    /// Each one, running ones first.
    pub containers: Vec<ContainerInfo>,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerInfo {
    /// The first 12 characters of its id.
    pub id: String,
    /// Its name. Untrusted text: whoever started it chose it.
    pub name: String,
    /// Its image. Untrusted text.
    pub image: String,
    /// `running`, `exited`, `restarting`, `paused` ...
    pub state: String,
    /// `healthy`, `unhealthy`, `starting`, where it has a health check.
    pub health: Option<String>,
    /// Share of one processor over the sampling interval; over 100 with several.
    pub cpu_percent: Option<f64>,
    /// Processors it may use; none: no limit.
    pub cpu_limit_cores: Option<f64>,
    /// Memory in use, in bytes, as `docker stats` counts.
    pub memory_used_bytes: Option<u64>,
    /// Memory it may use, in bytes; none: no limit.
    pub memory_limit_bytes: Option<u64>,
    /// Used share of its limit, 0 to 100; none without a limit.
    pub memory_used_percent: Option<f64>,
    /// Processes and threads it has.
    #[serde(default)]
    pub pids: Option<u64>,
    /// Processes and threads it may have; none: no limit.
    #[serde(default)]
    pub pids_limit: Option<u64>,
    /// How often the engine has started it again.
    pub restarts: u64,
    /// Its latest run was ended for want of memory.
    pub oom_killed: bool,
    /// Exit code of its latest run, once ended.
    pub exit_code: Option<i64>,
}

/// One GPU. A value that its driver does not give is none; the others stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuMetrics {
    /// Position on the bus, from 0.
    pub index: u32,
    /// What the driver calls it.
    pub name: Option<String>,
    /// Busy share, 0 to 100.
    pub used_percent: Option<f64>,
    /// Its memory in bytes.
    pub memory_total_bytes: Option<u64>,
    /// Memory in use, in bytes.
    pub memory_used_bytes: Option<u64>,
    /// Degrees Celsius.
    pub celsius: Option<f64>,
}

/// The host of samples whose machine nobody named: the default of an engine and of a metric history.
pub const LOCAL_HOST: &str = "localhost";

/// One point of one series of one machine over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricSample {
    /// The machine that was measured, by the name that its process was configured with.
    pub host: String,
    /// The series, as a metric path such as `host.memory.used_percent` or `host.disks[/].used_bytes`.
    pub series: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Its value, in the unit of the path.
    pub value: f64,
}
