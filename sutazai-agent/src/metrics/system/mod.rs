//! Source of the section `host`: processor, memory, disks, network and processes, read from `/proc` and `/sys`.
//!
//! The files are opened once and read again at each collection (`proc_file`); each topic has a file with its own
//! parser. Reading blocks, so it runs on a dedicated thread. A file that cannot be read loses only its own figures, but
//! without `/proc/stat` or `/proc/meminfo` the source is `Unavailable`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use sutazai_core::domain::{DiskMetrics, HostMetrics, SnapshotPart, TcpMetrics, UnansweredMount};
use sutazai_core::ports::{Clock, MetricSource, SystemClock};
use sutazai_core::{Error, Result};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::baseline::{Baseline, FIRST_INTERVAL};
use super::own_thread::{READ_TIMEOUT, on_own_thread};
use cpu::CpuCounters;
use devices::DeviceCounters;
use disks::Disks;
use earlier::earlier;
use memory::SwapCounters;
use networks::NetworkCounters;
use proc_file::ProcFile;
use processes::ProcessCounters;
use tcp::Listeners;

mod clock;
mod cpu;
mod deleted_files;
mod devices;
mod disks;
mod earlier;
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
        let mut reader = self.reader.clone().lock_owned().await;
        if reader.baseline.at(Instant::now()).is_none() {
            // Two readings before the measurement: with only one, rules could not tell a lasting problem from a past
            // one.
            for _ in 0..2 {
                reader = blocking(reader, |reader| reader.begin()).await?.0;
                SystemClock.sleep(FIRST_INTERVAL).await;
            }
        }
        let (_, host) = blocking(reader, Reader::measure).await?;
        Ok(SnapshotPart::Host(Box::new(host)))
    }
}

/// Runs blocking work of the reader on a dedicated thread, and returns the reader with the result.
async fn blocking<T: Send + 'static>(
    mut reader: OwnedMutexGuard<Reader>,
    work: impl FnOnce(&mut Reader) -> Result<T> + Send + 'static,
) -> Result<(OwnedMutexGuard<Reader>, T)> {
    on_own_thread("host", READ_TIMEOUT, move || work(&mut reader).map(|result| (reader, result))).await
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
    baseline: Baseline<Counters>,
}

/// All monotonic counters at one reading, with the space of the disks.
#[derive(Debug)]
struct Counters {
    cpu: CpuCounters,
    swap: Option<SwapCounters>,
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
            baseline: Baseline::default(),
        }
    }

    /// Takes a reading as the baseline of the first rates.
    fn begin(&mut self) -> Result<()> {
        let now = Instant::now();
        let (counters, _) = self.count()?;
        self.baseline.push(now, counters);
        Ok(())
    }

    fn count(&mut self) -> Result<(Counters, Vec<processes::Process>)> {
        let processes = processes::list(&self.proc)?;
        let mounts = mounts::parse(&optional(&mut self.mounts));
        let (disks, unanswered_mounts) = self.disks.measure(&mounts);
        let counters = Counters {
            cpu: cpu::count(&self.stat.read()?)?,
            // A sandbox may lack any of these files; their figures are then left out.
            swap: self.vmstat.read().ok().and_then(|text| memory::count_swap(&text)),
            devices: self.diskstats.read().map(|text| devices::count(&text, &self.sys)).unwrap_or_default(),
            networks: self
                .networks
                .read()
                .map(|text| networks::count(&text, &links::read()))
                .unwrap_or_default(),
            processes: processes::count(&processes),
            tcp: tcp::count(&self.proc),
            listeners: tcp::listeners(),
            disks,
            unanswered_mounts,
        };
        Ok((counters, processes))
    }

    fn measure(&mut self) -> Result<HostMetrics> {
        let now = Instant::now();
        let (counters, processes) = self.count()?;
        let uptime = self.uptime.read().ok().and_then(|text| first_number(&text));
        let mounts = mounts::parse(&optional(&mut self.mounts));
        let mut disks = counters.disks.clone();
        let names = processes::names(&processes);
        deleted_files::add(&self.proc, &mut disks, &mounts, &names);
        let (before, seconds) = self
            .baseline
            .at(now)
            .ok_or_else(|| Error::internal("expected a baseline reading before the first collection"))?;
        let vmstat = optional(&mut self.vmstat);
        let (memory, swap_space) =
            memory::parse(&self.meminfo.read()?, &vmstat, &optional(&mut self.arcstats))?;
        let mut limits = limits::read(&self.proc, &self.sys, &processes);
        limits.extend(tcp::ports(&self.proc));
        limits.extend(tcp::listen_queues(&counters.listeners));
        let mut host = HostMetrics {
            hostname: named(&mut self.hostname),
            kernel: named(&mut self.kernel),
            uptime_seconds: uptime.map(|uptime| uptime as u64),
            cpu: cpu::rates(&before.cpu, &counters.cpu, load(&optional(&mut self.load)), seconds),
            memory,
            swap: memory::swap_rates(
                swap_space,
                &optional(&mut self.swaps),
                before.swap.as_ref(),
                counters.swap.as_ref(),
                seconds,
            ),
            disks,
            unanswered_mounts: counters.unanswered_mounts.clone(),
            devices: devices::rates(&before.devices, &counters.devices, seconds),
            networks: networks::rates(&before.networks, &counters.networks, seconds),
            processes: processes::summary(
                [&self.proc, &self.sys],
                processes,
                &before.processes,
                uptime,
                seconds,
            ),
            temperatures: sensors::temperatures(&self.sys),
            files: self.files.read().ok().and_then(|text| sensors::files(&text)),
            clock: clock::read(&names),
            kills: kills::read(&self.kmsg, &self.sys),
            tcp: counters.tcp.clone(),
            limits,
            earlier: Vec::new(),
        };
        host.earlier = earlier(&host, &self.baseline.readings(now));
        self.baseline.push(now, counters);
        Ok(host)
    }
}

/// Reads a file; an unreadable one counts as empty.
fn optional(file: &mut ProcFile) -> String {
    file.read().map(|text| text.into_owned()).unwrap_or_default()
}

/// Reads a file with a single line; `unknown` if it is empty or unreadable.
fn named(file: &mut ProcFile) -> String {
    match optional(file).trim() {
        "" => "unknown".to_owned(),
        name => name.to_owned(),
    }
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
