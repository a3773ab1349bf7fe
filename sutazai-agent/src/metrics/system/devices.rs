//! Block devices: `/proc/diskstats` (the kernel's `Documentation/admin-guide/iostats.rst`).

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use sutazai_core::domain::DeviceMetrics;
use sutazai_core::{Error, Result};

use super::super::missing::unreadable;
use super::{per_second, percent};

/// Sector size in bytes that the kernel counts in, whatever the device uses.
const SECTOR: f64 = 512.0;

/// Counters of each device since boot, by name.
pub(super) type DeviceCounters = BTreeMap<String, Requests>;

/// Counters of one device since boot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Requests {
    reads: u64,
    writes: u64,
    sectors_read: u64,
    sectors_written: u64,
    /// Milliseconds summed over all reads, and over all writes. The counters have 32 bits and wrap around.
    read_ms: u64,
    write_ms: u64,
    /// Milliseconds with at least one pending request.
    busy_ms: u64,
}

/// Reads the counters of whole devices with any activity. Partitions and loop devices are left out, because their
/// requests are counted at the disk below.
///
/// # Errors
/// `Unavailable` if `/sys/block`, which lists the whole devices, cannot be read.
pub(super) fn count(diskstats: &str, sys: &Path) -> Result<DeviceCounters> {
    let block = sys.join("block");
    let listed = fs::read_dir(&block).map_err(|e| Error::unavailable(unreadable(&block, &e)))?;
    let whole: HashSet<String> =
        listed.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let is_disk = |name: &str| !name.starts_with("loop") && !name.starts_with("ram");
    let lines = diskstats.lines().filter_map(parse);
    Ok(lines.filter(|(name, _)| is_disk(name) && whole.contains(&name.replace('/', "!"))).collect())
}

/// Computes the rates between two readings; a device that is missing in the first one is left out.
pub(super) fn rates(before: &DeviceCounters, now: &DeviceCounters, seconds: f64) -> Vec<DeviceMetrics> {
    let device = |(name, now): (&String, &Requests)| {
        let before = before.get(name)?;
        let grown = |count: fn(&Requests) -> u64| count(now).checked_sub(count(before));
        let (reads, writes) = (grown(|one| one.reads), grown(|one| one.writes));
        let ended = reads.unwrap_or(0).saturating_add(writes.unwrap_or(0));
        // No mean is computed if one of its counters wrapped around.
        let waited = grown(|one| one.read_ms).zip(grown(|one| one.write_ms));
        let waited = waited.filter(|_| reads.is_some() && writes.is_some());
        let waited = waited.map(|(read, write)| read.saturating_add(write) as f64);
        Some(DeviceMetrics {
            name: name.clone(),
            read_bytes_per_second: per_second(before.sectors_read, now.sectors_read, seconds) * SECTOR,
            written_bytes_per_second: per_second(before.sectors_written, now.sectors_written, seconds)
                * SECTOR,
            operations_per_second: ended as f64 / seconds,
            latency_ms: waited.filter(|_| ended > 0).map(|waited| waited / ended as f64),
            busy_percent: percent(per_second(before.busy_ms, now.busy_ms, seconds), 1000.0),
        })
    };
    now.iter().filter_map(device).collect()
}

fn parse(line: &str) -> Option<(String, Requests)> {
    let mut words = line.split_whitespace().skip(2);
    let name = words.next()?.to_owned();
    let numbers: Vec<u64> = words.map_while(|number| number.parse().ok()).collect();
    let [reads, _, sectors_read, read_ms, writes, _, sectors_written, write_ms, _, busy_ms] =
        *numbers.first_chunk()?;
    let requests = Requests { reads, writes, sectors_read, sectors_written, read_ms, write_ms, busy_ms };
    (reads > 0 || writes > 0).then_some((name, requests))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_computed_between_two_readings() {
        let sys = tempfile::tempdir().unwrap();
        for name in ["vda", "vdb", "loop0", "cciss!c0d0"] {
            std::fs::create_dir_all(sys.path().join("block").join(name)).unwrap();
        }
        let first = "254 0 vda 100 0 1000 50 10 0 100 50 0 500 100\n254 1 vda1 9 0 9 9 9 0 9 9 0 9 9\n\
                     7 0 loop0 5 0 5 5 0 0 0 0 0 5 5\n8 0 vdb 0 0 0 0 0 0 0 0 0 0 0\n104 0 cciss/c0d0 1 0 8 1 0 0 0 0 0 1 1\n";
        let then =
            "254 0 vda 110 0 1200 100 20 0 300 100 0 1500 100\n104 0 cciss/c0d0 1 0 8 1 0 0 0 0 0 1 1\n";
        let before = count(first, sys.path()).unwrap();
        let devices = rates(&before, &count(then, sys.path()).unwrap(), 2.0);
        let names: Vec<_> = devices.iter().map(|device| device.name.as_str()).collect();
        assert_eq!(names, ["cciss/c0d0", "vda"]);
        let vda = &devices[1];
        assert_eq!((vda.read_bytes_per_second, vda.written_bytes_per_second), (51_200.0, 51_200.0));
        assert_eq!((vda.operations_per_second, vda.latency_ms, vda.busy_percent), (10.0, Some(5.0), 50.0));
        assert_eq!(devices[0].latency_ms, None, "no request, no latency");
    }

    #[test]
    fn wrapped_counter_loses_only_its_own_figure() {
        let sys = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(sys.path().join("block/vda")).unwrap();
        let before = count("254 0 vda 100 0 1000 4294967290 10 0 100 50 0 500 100\n", sys.path()).unwrap();
        let now = count("254 0 vda 110 0 1200 4 20 0 300 100 0 1500 100\n", sys.path()).unwrap();
        let vda = &rates(&before, &now, 2.0)[0];
        assert_eq!((vda.operations_per_second, vda.latency_ms), (10.0, None));
        assert_eq!((vda.read_bytes_per_second, vda.busy_percent), (51_200.0, 50.0));
    }
}
