//! Source of the section `host`: processor, memory, disks, network and processes, read from `/proc` and `/sys`.
//!
//! The files are opened once and read again at each collection (`proc_file`); each topic has a file with its own
//! parser. Reading blocks, so it runs on a dedicated thread. A file that cannot be read loses only its own figures, which
//! the field `missing` lists; only if nothing can be read, the source is `Unavailable`.

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use rustix::system::{Uname, uname};
use sutazai_core::adapter::analysis_budget::SOURCE_TIMEOUT;
use sutazai_core::domain::{
    CpuMetrics, DiskMetrics, HostMetrics, MemoryMetrics, SnapshotPart, TcpMetrics, UnansweredMount,
};
use sutazai_core::ports::{Clock, MetricSource, SystemClock};
use sutazai_core::{Error, Result};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::baseline::{Baseline, FIRST_INTERVAL};
use super::missing::Missing;
use super::own_thread::{Deadline, on_own_thread};
use cpu::CpuCounters;
use devices::DeviceCounters;
use disks::Disks;
use earlier::earlier;
use identity::Identity;
use memory::SwapCounters;
use mounts::Mount;
use networks::NetworkCounters;
use proc_file::ProcFile;
use processes::{Process, ProcessCounters};
use sensors::Sensors;
use tcp::Listeners;

mod clock;
mod cpu;
mod deleted_files;
mod devices;
mod disks;
mod earlier;
mod identity;
mod kills;
mod limits;
mod links;
mod memory;
mod mounts;
mod netlink;
mod networks;
mod proc_file;
mod processes;
mod sensors;
mod tcp;

/// Metric source for this machine's processor, memory, disks, network and processes.
#[derive(Debug)]
pub struct SystemMetricSource {
    reader: Arc<Mutex<Reader>>,
}

impl SystemMetricSource {
    /// Creates a source that reads `/proc` and `/sys`.
    pub fn new() -> Self {
        Self::with_roots("/proc", "/sys")
    }

    /// Creates a source that reads trees laid out like `/proc` and `/sys`.
    pub fn with_roots(proc: impl AsRef<Path>, sys: impl AsRef<Path>) -> Self {
        Self { reader: Arc::new(Mutex::new(Reader::new(proc.as_ref(), sys.as_ref()))) }
    }
}

impl Default for SystemMetricSource {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl MetricSource for SystemMetricSource {
    fn name(&self) -> &str {
        "host"
    }

    async fn collect(&self) -> Result<SnapshotPart> {
        let deadline = Deadline::after(SOURCE_TIMEOUT);
        let mut reader = deadline.wait("host", self.reader.clone().lock_owned()).await?;
        if reader.baseline.at(Instant::now()).is_none() {
            // Two readings before the measurement: with only one, rules could not tell a lasting problem from a past
            // one.
            for _ in 0..2 {
                reader = blocking(reader, deadline, |reader| {
                    reader.begin();
                    Ok(())
                })
                .await?
                .0;
                SystemClock.sleep(FIRST_INTERVAL).await;
            }
        }
        let (_, host) = blocking(reader, deadline, Reader::measure).await?;
        Ok(SnapshotPart::Host(Box::new(host)))
    }
}

/// Runs blocking work of the reader on a dedicated thread, and returns the reader with the result.
async fn blocking<T: Send + 'static>(
    mut reader: OwnedMutexGuard<Reader>,
    deadline: Deadline,
    work: impl FnOnce(&mut Reader) -> Result<T> + Send + 'static,
) -> Result<(OwnedMutexGuard<Reader>, T)> {
    on_own_thread("host", deadline, move || work(&mut reader).map(|result| (reader, result))).await
}

/// Open files and the counters of earlier readings.
#[derive(Debug)]
struct Reader {
    proc: PathBuf,
    sys: PathBuf,
    kmsg: PathBuf,
    hostname: ProcFile,
    kernel: ProcFile,
    uptime: ProcFile,
    stat: ProcFile,
    load: ProcFile,
    meminfo: ProcFile,
    vmstat: ProcFile,
    mounts: ProcFile,
    swaps: ProcFile,
    arcstats: ProcFile,
    diskstats: ProcFile,
    networks: ProcFile,
    files: ProcFile,
    disks: Disks,
    sensors: Sensors,
    baseline: Baseline<Counters>,
    /// Read with the first measurement.
    identity: Option<Identity>,
}

/// Metric paths of the figures that come from `/proc/stat`, from `/proc/vmstat` and from the list of mounts.
const CPU: [&str; 4] = [
    "host.cpu.used_percent",
    "host.cpu.per_core_percent",
    "host.cpu.iowait_percent",
    "host.cpu.steal_percent",
];
const VMSTAT: [&str; 3] =
    ["host.memory.oom_kills", "host.swap.in_bytes_per_second", "host.swap.out_bytes_per_second"];
const MOUNTS: [&str; 2] = ["host.disks", "host.unanswered_mounts"];
const PROCESSES: &str = "host.processes";

/// State of the machine at one instant.
struct Reading {
    counters: Counters,
    processes: Option<Vec<Process>>,
    mounts: Vec<Mount>,
    missing: Missing,
}

/// All monotonic counters at one reading, with the space of the disks.
#[derive(Debug)]
struct Counters {
    cpu: Option<CpuCounters>,
    swap: Option<SwapCounters>,
    /// Processes killed for lack of memory since boot.
    kills: Option<u64>,
    devices: DeviceCounters,
    networks: NetworkCounters,
    processes: ProcessCounters,
    tcp: Option<TcpMetrics>,
    listeners: Listeners,
    disks: Vec<DiskMetrics>,
    unanswered_mounts: Vec<UnansweredMount>,
}

impl Reader {
    fn new(proc: &Path, sys: &Path) -> Self {
        let file = |path: &str| ProcFile::new(proc.join(path));
        Self {
            proc: proc.to_owned(),
            sys: sys.to_owned(),
            kmsg: proc.parent().unwrap_or(proc).join("dev/kmsg"),
            hostname: file("sys/kernel/hostname"),
            kernel: file("sys/kernel/osrelease"),
            uptime: file("uptime"),
            stat: file("stat"),
            load: file("loadavg"),
            meminfo: file("meminfo"),
            vmstat: file("vmstat"),
            mounts: file("self/mountinfo"),
            swaps: file("swaps"),
            arcstats: file("spl/kstat/zfs/arcstats"),
            diskstats: file("diskstats"),
            networks: file("net/dev"),
            files: file("sys/fs/file-nr"),
            disks: Disks::default(),
            sensors: Sensors::new(sys),
            baseline: Baseline::default(),
            identity: None,
        }
    }

    /// Takes a reading as the baseline of the first rates.
    fn begin(&mut self) {
        let now = Instant::now();
        let counters = self.read().counters;
        self.baseline.push(now, counters);
    }

    fn read(&mut self) -> Reading {
        let mut missing = Missing::default();
        let cpu = missing.keep(&CPU, self.stat.read().and_then(|text| cpu::count(&text)));
        let vmstat = missing.keep(&VMSTAT, self.vmstat.read()).unwrap_or_default();
        let (swap, kills) = (memory::count_swap(&vmstat), memory::count_kills(&vmstat));
        let mounts = missing.keep(&MOUNTS, self.mounts.read()).map(|text| mounts::parse(&text));
        let mounts = mounts.unwrap_or_default();
        let (disks, unanswered_mounts) = self.disks.measure(&mounts, &mut missing);
        let devices = self.diskstats.read().and_then(|text| devices::count(&text, &self.sys));
        let links = links::read(&mut missing);
        let networks = self.networks.read().map(|text| networks::count(&text, &links));
        let of_processes: Vec<&str> = [PROCESSES].into_iter().chain(limits::OF_PROCESSES).collect();
        let processes = missing.keep(&of_processes, processes::list(&self.proc));
        let counters = Counters {
            cpu,
            swap,
            kills,
            devices: missing.keep(&["host.devices"], devices).unwrap_or_default(),
            networks: missing.keep(&["host.networks"], networks).unwrap_or_default(),
            processes: processes::count([&*self.proc, &*self.sys], processes.as_deref().unwrap_or_default()),
            tcp: tcp::count(&self.proc, &mut missing),
            listeners: tcp::listeners(&mut missing),
            disks,
            unanswered_mounts,
        };
        Reading { counters, processes, mounts, missing }
    }

    /// Measures the section of a snapshot.
    ///
    /// # Errors
    /// `Unavailable` if nothing of it can be read, as on a system without `/proc`.
    fn measure(&mut self) -> Result<HostMetrics> {
        let now = Instant::now();
        let mut sensors_missing = Missing::default();
        self.sensors.start(&mut sensors_missing);
        let Reading { counters, processes, mounts, mut missing } = self.read();
        let of_uptime = ["host.uptime_seconds", "host.processes.top.age_seconds"];
        let uptime = missing.keep(&of_uptime, self.uptime.read());
        let uptime = uptime.and_then(|text| first_number(&text));
        let mut disks = counters.disks.clone();
        let names = processes::names(processes.as_deref().unwrap_or_default());
        deleted_files::add(&self.proc, &mut disks, &mounts, &names);
        let readings = self.baseline.readings(now);
        let Some(((seconds, before), older)) = readings.split_last() else {
            return Err(Error::internal("expected a baseline reading before the first collection"));
        };
        let seconds = *seconds;
        let (memory, swap_space) =
            memory::parse(self.meminfo.read(), self.arcstats.read_if_exists(), &mut missing);
        let in_memory = match swap_space.total {
            // A kernel without swap has no list of swap areas.
            Some(0) => Some(false),
            _ => missing
                .keep(&["host.swap.in_memory"], self.swaps.read())
                .map(|text| memory::is_in_memory(&text)),
        };
        let files = missing.keep(&["host.files"], self.files.read());
        let mut limits = limits::read(&self.proc, &self.sys, processes.as_deref(), &mut missing);
        limits.extend(tcp::ports(&self.proc, &mut missing));
        limits.extend(tcp::listen_queues(&counters.listeners));
        let clock = missing.keep(&["host.clock"], clock::read(&names));
        let kills = kills::read(&self.kmsg, &self.sys, &mut missing);
        let load = self.load.read().map(|text| load(&text)).unwrap_or_else(|_| load(""));
        let identity = self.identity.get_or_insert_with(|| Identity::read(&self.proc));
        let system = missing.keep(&["host.system"], identity.system.clone());
        let model = missing.keep(&["host.cpu.model"], identity.model.clone());
        let mut host = HostMetrics {
            system,
            hostname: named(&mut self.hostname, |uname| uname.nodename()),
            kernel: named(&mut self.kernel, |uname| uname.release()),
            uptime_seconds: uptime.map(|uptime| uptime as u64),
            cpu: CpuMetrics {
                model,
                ..cpu::metrics(before.cpu.as_ref(), counters.cpu.as_ref(), &self.sys, load, seconds)
            },
            memory: MemoryMetrics { oom_kills: counters.kills, ..memory },
            swap: memory::swap_rates(
                swap_space,
                in_memory,
                before.swap.as_ref(),
                counters.swap.as_ref(),
                seconds,
            ),
            disks,
            unanswered_mounts: counters.unanswered_mounts.clone(),
            devices: devices::rates(&before.devices, &counters.devices, seconds),
            networks: networks::rates(&before.networks, &counters.networks, seconds),
            processes: processes.map(|processes| {
                processes::summary(
                    &self.proc,
                    processes,
                    &counters.processes,
                    &before.processes,
                    older.last().map(|(_, counters)| &counters.processes),
                    uptime,
                    seconds,
                )
            }),
            temperatures: self.sensors.finish(&mut sensors_missing),
            files: files.and_then(|text| sensors::files(&text)),
            clock,
            kills,
            tcp: counters.tcp.clone(),
            limits,
            earlier: Vec::new(),
            missing: Vec::new(),
        };
        if is_empty(&host)
            && let Some(reason) = missing.first_reason()
        {
            return Err(Error::unavailable(reason));
        }
        host.earlier = earlier(&host, &readings);
        host.missing = [missing, sensors_missing].into_iter().flat_map(Missing::into_figures).collect();
        self.baseline.push(now, counters);
        Ok(host)
    }
}

/// Returns whether nothing of the machine was measured. The rest comes from calls that need no file.
fn is_empty(host: &HostMetrics) -> bool {
    host.cpu.used_percent.is_none()
        && host.memory.total_bytes.is_none()
        && host.processes.is_none()
        && host.disks.is_empty()
        && host.devices.is_empty()
        && host.networks.is_empty()
}

/// Reads a file with a single line. If it is empty or unreadable, the kernel is asked (`uname(2)`).
fn named(file: &mut ProcFile, ask: impl Fn(&Uname) -> &CStr) -> String {
    let text = file.read().map(|text| text.trim().to_owned()).unwrap_or_default();
    if text.is_empty() { ask(&uname()).to_string_lossy().into_owned() } else { text }
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

/// Load of one in the fixed-point numbers of `sysinfo(2)` (`SI_LOAD_SHIFT` of the kernel is 16).
const SYSINFO_LOAD_UNIT: f64 = 65_536.0;

/// Returns the load over 1, 5 and 15 minutes by `/proc/loadavg`. Where a sandbox hides the file, the kernel is asked
/// (`sysinfo(2)`): without the load, the whole section would have to be left out.
fn load(text: &str) -> [f64; 3] {
    let mut numbers = text.split_whitespace().map_while(|number| number.parse::<f64>().ok());
    match [numbers.next(), numbers.next(), numbers.next()] {
        [Some(one), Some(five), Some(fifteen)]
            if one.is_finite() && five.is_finite() && fifteen.is_finite() =>
        {
            [one, five, fifteen]
        }
        _ => rustix::system::sysinfo().loads.map(|load| load as f64 / SYSINFO_LOAD_UNIT),
    }
}

/// Returns `part` of `whole` in percent, 0 to 100; 0 if `whole` is zero.
fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { (part / whole * 100.0).clamp(0.0, 100.0) } else { 0.0 }
}

/// Returns the rate of a counter per second; 0 if it was reset in between.
fn per_second(before: u64, now: u64, seconds: f64) -> f64 {
    now.saturating_sub(before) as f64 / seconds
}
