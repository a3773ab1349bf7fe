//! Section `host` compared with psutil: over the same interval, within the same second, under a load of known size.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Command;
use std::time::Duration;

use rustix::fs::{Advice, fadvise};
use serde_json::Value;
use sutazai_agent::metrics::SystemMetricSource;
use sutazai_core::domain::{HostMetrics, SnapshotPart};
use sutazai_core::ports::{Clock, MetricSource, SystemClock};

use super::load::Load;
use super::psutil::{Comparison, Psutil, number};

const MIB: usize = 1 << 20;
/// Size of the file that is written and read back during the measurement.
const FILE_MIB: usize = 96;
/// Duration of the load.
const LOAD_DURATION: Duration = Duration::from_secs(3);

pub(crate) async fn collect(source: &SystemMetricSource) -> HostMetrics {
    match source.collect().await.unwrap() {
        SnapshotPart::Host(host) => *host,
        other => panic!("{other:?} is not the section `host`"),
    }
}

/// Other programs start and end between the two readings, so a difference is measured again, three times at most.
#[tokio::test(flavor = "multi_thread")]
async fn host_matches_psutil() {
    let _alone = super::MACHINE.write().await;
    let burning = Load::start(&["burn"]);
    let eating = Load::start(&["eat", "300"]);
    let _zombie = Zombie::new();
    let mut psutil = Psutil::start();
    let source = SystemMetricSource::new();
    let mut tables = String::new();
    for _ in 0..3 {
        collect(&source).await;
        let before = psutil.read(&[burning.pid(), eating.pid()]);
        let (_, written) =
            tokio::join!(SystemClock.sleep(LOAD_DURATION), tokio::task::spawn_blocking(use_the_disk));
        written.unwrap();
        let host = collect(&source).await;
        let after = psutil.read(&[burning.pid(), eating.pid()]);
        let mut comparison = Comparison::default();
        processor(&mut comparison, &host, &after);
        memory(&mut comparison, &host, &after);
        disks(&mut comparison, &host, &after);
        devices(&mut comparison, &host, &before, &after);
        networks(&mut comparison, &host, &before, &after);
        processes(&mut comparison, &host, &after, [burning.pid(), eating.pid()]);
        sensors(&mut comparison, &host, &after);
        tables = format!("{tables}\n\n{}", comparison.table());
        if comparison.holds() {
            println!("{tables}");
            return;
        }
    }
    panic!("what is measured is not what psutil sees:{tables}");
}

/// Child that has ended and is reaped only when this is dropped.
struct Zombie(std::process::Child);

impl Zombie {
    fn new() -> Self {
        Self(Command::new("true").spawn().unwrap())
    }
}

impl Drop for Zombie {
    fn drop(&mut self) {
        let _ = self.0.wait();
    }
}

/// Writes a file through to the disk, and reads it back from there.
fn use_the_disk() {
    let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let content: Vec<u8> = (0..MIB).map(|at| (at * 31 % 251) as u8).collect();
    for _ in 0..FILE_MIB {
        file.write_all(&content).unwrap();
    }
    file.sync_all().unwrap();
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    let mut again = File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file))).unwrap();
    let mut read = vec![0; MIB];
    again.read_exact(&mut read).unwrap();
    while again.read(&mut read).unwrap() > 0 {}
}

fn processor(comparison: &mut Comparison, host: &HostMetrics, psutil: &Value) {
    let cores = psutil["per_core_percent"].as_array().unwrap();
    assert_eq!(host.cpu.cores as usize, cores.len());
    assert!(
        host.cpu.used_percent.unwrap() > 90.0 / cores.len() as f64,
        "one processor burns: {:?}",
        host.cpu
    );
    comparison.points("cpu.used_percent", host.cpu.used_percent.unwrap(), number(&psutil["cpu_percent"]));
    for (core, (ours, theirs)) in host.cpu.per_core_percent.iter().zip(cores).enumerate() {
        comparison.points(&format!("cpu.per_core_percent[{core}]"), *ours, number(theirs));
    }
    let times = &psutil["cpu_times_percent"];
    comparison.points("cpu.iowait_percent", host.cpu.iowait_percent.unwrap(), number(&times["iowait"]));
    comparison.points("cpu.steal_percent", host.cpu.steal_percent.unwrap(), number(&times["steal"]));
    for (minutes, (ours, theirs)) in
        ["1", "5", "15"].iter().zip(host.cpu.load.unwrap().iter().zip(psutil["load"].as_array().unwrap()))
    {
        comparison.near(&format!("cpu.load[{minutes}]"), *ours, number(theirs), 0.02);
    }
}

fn memory(comparison: &mut Comparison, host: &HostMetrics, psutil: &Value) {
    let (memory, theirs) = (&host.memory, &psutil["memory"]);
    let total = number(&theirs["total"]);
    comparison.within("memory.total_bytes", memory.total_bytes.unwrap() as f64, total, 0.0);
    comparison.near(
        "memory.available_bytes",
        memory.available_bytes.unwrap() as f64,
        number(&theirs["available"]),
        0.0,
    );
    comparison.near("memory.used_bytes", memory.used_bytes.unwrap() as f64, number(&theirs["used"]), 0.0);
    comparison.points("memory.used_percent", memory.used_percent.unwrap(), number(&theirs["percent"]));
    let (swap, theirs) = (&host.swap, &psutil["swap"]);
    comparison.within("swap.total_bytes", swap.total_bytes.unwrap() as f64, number(&theirs["total"]), 0.0);
    comparison.near("swap.used_bytes", swap.used_bytes.unwrap() as f64, number(&theirs["used"]), 0.0);
    comparison.points("swap.used_percent", swap.used_percent.unwrap(), number(&theirs["percent"]));
}

/// Each of our disks is one of psutil's, which lists a file system as often as it is mounted.
fn disks(comparison: &mut Comparison, host: &HostMetrics, psutil: &Value) {
    let theirs = psutil["disks"].as_object().unwrap();
    let sources = |one: &Value| one["device"].as_str().unwrap().to_owned();
    let mut missing: Vec<String> = theirs.values().map(sources).collect();
    missing.retain(|device| !host.disks.iter().any(|disk| disk.device == *device));
    assert!(missing.is_empty() && !host.disks.is_empty(), "{missing:?} is not in {:?}", host.disks);
    for disk in &host.disks {
        // The root of a container is an overlay, which psutil leaves out, like file systems in memory.
        let Some(theirs) = theirs.get(&disk.mount) else {
            let left_out = ["overlay", "tmpfs", "devtmpfs"].contains(&disk.filesystem.as_str());
            assert!(left_out, "psutil knows nothing of {disk:?}");
            continue;
        };
        assert_eq!(theirs["type"], disk.filesystem.as_str());
        let name = |figure: &str| format!("disks[{}].{figure}", disk.mount);
        comparison.near(&name("total_bytes"), disk.total_bytes as f64, number(&theirs["total"]), 0.0);
        comparison.near(&name("used_bytes"), disk.used_bytes as f64, number(&theirs["used"]), 0.0);
        comparison.near(&name("available_bytes"), disk.available_bytes as f64, number(&theirs["free"]), 0.0);
        comparison.points(&name("used_percent"), disk.used_percent, number(&theirs["percent"]));
    }
}

/// Compares bytes over the whole interval that contains the load. Other activity at its ends may differ a little.
fn devices(comparison: &mut Comparison, host: &HostMetrics, before: &Value, after: &Value) {
    let seconds = host.cpu.interval_seconds;
    let mut most = 0.0_f64;
    for device in &host.devices {
        let grown = |figure: &str| {
            let of = |reading: &Value| number(&reading["disk_io"][device.name.as_str()][figure]);
            of(after) - of(before)
        };
        let name = |figure: &str| format!("devices[{}].{figure}", device.name);
        let floor = MIB as f64;
        let (read, written) =
            (device.read_bytes_per_second * seconds, device.written_bytes_per_second * seconds);
        comparison.near(&name("read_bytes"), read, grown("read_bytes"), floor);
        comparison.near(&name("written_bytes"), written, grown("write_bytes"), floor);
        let operations = grown("read_count") + grown("write_count");
        comparison.near(&name("operations"), device.operations_per_second * seconds, operations, 20.0);
        let waited = grown("read_time") + grown("write_time");
        if let Some(latency) = device.latency_ms.filter(|_| operations > 20.0) {
            comparison.near(&name("latency_ms"), latency, waited / operations, 0.5);
        }
        comparison.points(&name("busy_percent"), device.busy_percent, grown("busy_time") / seconds / 10.0);
        most = most.max(read.min(written));
    }
    let expected = (FILE_MIB * MIB) as f64 * 0.9;
    assert!(
        most > expected,
        "no disk below {} read and wrote {FILE_MIB} MiB: {:?}",
        env!("CARGO_TARGET_TMPDIR"),
        host.devices
    );
}

pub(crate) fn networks(comparison: &mut Comparison, host: &HostMetrics, before: &Value, after: &Value) {
    let seconds = host.cpu.interval_seconds;
    let names: Vec<&str> = host.networks.iter().map(|network| network.interface.as_str()).collect();
    let mut theirs: Vec<&str> = after["net_io"].as_object().unwrap().keys().map(String::as_str).collect();
    theirs.retain(|name| *name != "lo");
    theirs.sort_unstable();
    assert_eq!(names, theirs);
    for network in &host.networks {
        let of =
            |reading: &Value, figure: &str| number(&reading["net_io"][network.interface.as_str()][figure]);
        let grown = |figure: &str| of(after, figure) - of(before, figure);
        let name = |figure: &str| format!("networks[{}].{figure}", network.interface);
        let floor = 16.0 * 1024.0;
        let (received, sent) = (network.received_bytes_per_second, network.sent_bytes_per_second);
        comparison.near(&name("received_bytes"), received * seconds, grown("bytes_recv"), floor);
        comparison.near(&name("sent_bytes"), sent * seconds, grown("bytes_sent"), floor);
        let both = |one: &str, other: &str| of(after, one) + of(after, other);
        comparison.near(&name("packets"), network.packets as f64, both("packets_recv", "packets_sent"), 20.0);
        comparison.near(&name("errors"), network.errors as f64, both("errin", "errout"), 0.0);
        comparison.near(&name("drops"), network.drops.unwrap() as f64, both("dropin", "dropout"), 0.0);
    }
}

fn processes(comparison: &mut Comparison, host: &HostMetrics, psutil: &Value, known: [u32; 2]) {
    let processes = host.processes.as_ref().unwrap();
    let states: Vec<&str> = psutil["states"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let in_state = |name: &str| states.iter().filter(|state| **state == name).count() as f64;
    comparison.near("processes.count", processes.count.into(), states.len() as f64, 5.0);
    assert!(processes.zombies.unwrap() >= 1, "one was not waited for: {processes:?}");
    comparison.within("processes.zombies", processes.zombies.unwrap().into(), in_state("zombie"), 2.0);
    comparison.within("processes.blocked", processes.blocked.unwrap().into(), in_state("disk-sleep"), 2.0);
    for pid in known {
        let theirs = &psutil["processes"][pid.to_string()];
        let top = &processes.top;
        let Some(ours) = top.iter().find(|process| process.pid == pid) else {
            // On a busy machine, others may rank higher and push it off the list.
            let (cpu, memory) = (number(&theirs["cpu_percent"]), number(&theirs["rss"]));
            let more =
                top.iter().filter(|one| one.cpu_percent > cpu - 2.0 || one.memory_bytes as f64 > memory);
            assert!(more.count() >= 5, "{pid} does not stand out: {processes:?}");
            continue;
        };
        let name = |figure: &str| format!("processes[{}].{figure}", ours.name);
        assert_eq!(theirs["name"], ours.name.as_str());
        comparison.points(&name("cpu_percent"), ours.cpu_percent, number(&theirs["cpu_percent"]));
        comparison.near(
            &name("memory_bytes"),
            ours.memory_bytes as f64,
            number(&theirs["rss"]),
            64.0 * 1024.0,
        );
        let (open, limit) = (ours.open_files.unwrap_or(0), ours.open_files_limit.unwrap_or(0));
        comparison.within(&name("open_files"), open as f64, number(&theirs["num_fds"]), 0.0);
        comparison.within(&name("open_files_limit"), limit as f64, number(&theirs["open_files_limit"]), 0.0);
        let uptime = host.uptime_seconds.unwrap() as f64;
        let age = number(&psutil["boot_time"]) + uptime - number(&theirs["create_time"]);
        comparison.within(&name("age_seconds"), ours.age_seconds.unwrap() as f64, age, 2.0);
    }
}

fn sensors(comparison: &mut Comparison, host: &HostMetrics, psutil: &Value) {
    let theirs = psutil["temperatures"].as_array().unwrap();
    comparison.within("temperatures", host.temperatures.len() as f64, theirs.len() as f64, 0.0);
    for theirs in theirs {
        let label = theirs["label"].as_str().filter(|label| !label.is_empty());
        let label = label.map(|label| format!("{} {label}", theirs["name"].as_str().unwrap_or_default()));
        let ours = host.temperatures.iter().find(|one| label.as_ref() == Some(&one.label));
        if let Some(ours) = ours {
            comparison.within(&ours.label, ours.celsius, number(&theirs["current"]), 5.0);
        }
    }
}
