//! Processes: `/proc/<pid>/stat` of each (proc_pid_stat(5)); exact memory and open files of the few that
//! stand out.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use sutazai_core::domain::{ProcessInfo, ProcessMetrics};
use sutazai_core::{Error, Result};

/// How many processes stand out, and how many of them at most by their processor time.
const TOP: usize = 10;
const TOP_BY_CPU: usize = 5;

/// Processor time of each process since it began, in ticks, by number and time of its beginning: numbers are reused.
pub(super) type ProcessCounters = HashMap<(u32, u64), u64>;

/// One process, now.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Process {
    pid: u32,
    name: String,
    state: char,
    ticks: u64,
    /// In ticks since boot.
    began: u64,
    /// Good enough to tell the large from the small: the kernel adds up what each processor has counted only when
    /// enough has come together, some MiB on a machine with many.
    resident_pages: u64,
}

/// Every process that could be read; one that ends in between is not there.
pub(super) fn list(proc: &Path) -> Result<Vec<Process>> {
    let unreadable = |e| Error::unavailable(format!("{} cannot be listed: {e}", proc.display()));
    // One read has all of it: 52 numbers and a name of 64 bytes at most.
    let mut stat = [0; 2048];
    let mut found = Vec::new();
    for entry in fs::read_dir(proc).map_err(unreadable)?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let read = File::open(entry.path().join("stat")).and_then(|mut file| file.read(&mut stat));
        found.extend(read.ok().and_then(|length| parse(pid, &String::from_utf8_lossy(&stat[..length]))));
    }
    Ok(found)
}

/// Number and name of each.
pub(super) fn names(processes: &[Process]) -> Vec<(u32, String)> {
    processes.iter().map(|process| (process.pid, process.name.clone())).collect()
}

/// The counters of these processes.
pub(super) fn count(processes: &[Process]) -> ProcessCounters {
    processes.iter().map(|process| ((process.pid, process.began), process.ticks)).collect()
}

/// Counts, and details of those that stand out. `uptime` is in seconds. Where it is that of a container and the processes
/// count from the start of the machine (LXC), some seem to begin before the start: their age is not known.
pub(super) fn summary(
    proc: &Path,
    processes: Vec<Process>,
    before: &ProcessCounters,
    uptime: Option<f64>,
    seconds: f64,
) -> ProcessMetrics {
    let in_state = |state| processes.iter().filter(|process| process.state == state).count() as u32;
    let (count, zombies, blocked) = (processes.len() as u32, in_state('Z'), in_state('D'));
    let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
    let page = rustix::param::page_size() as u64;
    let top = stand_out(processes, before).into_iter().map(|(process, ticks)| ProcessInfo {
        open_files: open_files(proc, process.pid),
        open_files_limit: open_files_limit(proc, process.pid),
        pid: process.pid,
        name: process.name,
        cpu_percent: ticks as f64 / ticks_per_second / seconds * 100.0,
        memory_bytes: resident_pages(proc, process.pid).unwrap_or(process.resident_pages) * page,
        age_seconds: age(uptime, process.began as f64 / ticks_per_second),
    });
    ProcessMetrics { count, zombies, blocked, top: top.collect() }
}

/// Those with most processor time since `before` (one that was not there began since), filled up with those with most
/// memory; most memory first.
fn stand_out(processes: Vec<Process>, before: &ProcessCounters) -> Vec<(Process, u64)> {
    let spent = |process: &Process| {
        let then = before.get(&(process.pid, process.began)).copied().unwrap_or(0);
        process.ticks.saturating_sub(then)
    };
    let mut all: Vec<(Process, u64)> =
        processes.into_iter().map(|p| (spent(&p), p)).map(|(t, p)| (p, t)).collect();
    all.sort_by_key(|(process, ticks)| std::cmp::Reverse((*ticks, process.resident_pages)));
    let busiest: HashSet<u32> =
        all.iter().take(TOP_BY_CPU).filter(|(_, ticks)| *ticks > 0).map(|(process, _)| process.pid).collect();
    let is_busy = |process: &Process| busiest.contains(&process.pid);
    all.sort_by_key(|(process, _)| std::cmp::Reverse((is_busy(process), process.resident_pages)));
    all.truncate(TOP);
    all.sort_by_key(|(process, _)| std::cmp::Reverse((process.resident_pages, process.pid)));
    all
}

/// Times of both are rounded, so one that has just begun may seem to begin a little later than now.
fn age(uptime: Option<f64>, began: f64) -> Option<u64> {
    const ROUNDING: f64 = 1.0;
    let age = uptime? - began;
    (age > -ROUNDING).then_some(age.max(0.0) as u64)
}

/// The exact count (proc_pid_statm(5)), which costs the kernel more than that of `stat`.
fn resident_pages(proc: &Path, pid: u32) -> Option<u64> {
    fs::read_to_string(proc.join(pid.to_string()).join("statm")).ok()?.split(' ').nth(1)?.parse().ok()
}

fn open_files(proc: &Path, pid: u32) -> Option<u64> {
    Some(fs::read_dir(proc.join(pid.to_string()).join("fd")).ok()?.count() as u64)
}

/// The soft limit; none where it cannot be read or there is none.
fn open_files_limit(proc: &Path, pid: u32) -> Option<u64> {
    let limits = fs::read_to_string(proc.join(pid.to_string()).join("limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The name stands in brackets and may hold any character, brackets too: it ends at the last one.
fn parse(pid: u32, stat: &str) -> Option<Process> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    // proc_pid_stat(5) numbers the fields from 1; the first behind the name is 3.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Process {
        pid,
        name: name.to_owned(),
        state: fields.first()?.chars().next()?,
        ticks: number(14)? + number(15)?,
        began: number(22)?,
        resident_pages: number(24)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, ticks: u64, resident_pages: u64) -> Process {
        Process { pid, name: format!("p{pid}"), state: 'S', ticks, began: 5, resident_pages }
    }

    #[test]
    fn a_name_may_hold_brackets_and_blanks() {
        let stat = "42 (a) R (b)) D 1 42 42 0 -1 4194560 100 0 0 0 7 3 0 0 20 0 1 0 900 1000000 250 184";
        let parsed = parse(42, stat).unwrap();
        let expected = Process {
            pid: 42,
            name: "a) R (b)".into(),
            state: 'D',
            ticks: 10,
            began: 900,
            resident_pages: 250,
        };
        assert_eq!(parsed, expected);
        assert_eq!(parse(42, "42 (short) S 1 2"), None);
    }

    #[test]
    fn no_process_is_older_than_the_machine() {
        for (uptime, began, expected) in [
            (Some(100.0), 40.0, Some(60)),
            (Some(100.0), 100.4, Some(0)),
            // The uptime of a container, and a process that counts from the start of the machine.
            (Some(100.0), 5000.0, None),
            (None, 5.0, None),
        ] {
            assert_eq!(age(uptime, began), expected, "{uptime:?} {began}");
        }
    }

    #[test]
    fn the_busy_and_the_large_stand_out() {
        // Twelve large ones that rest, two small ones that work, one of them with a reused number.
        let mut processes: Vec<Process> =
            (1..=12).map(|pid| process(pid, 100, 1000 + u64::from(pid))).collect();
        processes.extend([process(20, 150, 1), process(21, 30, 2)]);
        let mut before: ProcessCounters = (1..=12).map(|pid| ((pid, 5), 100)).collect();
        before.extend([((20, 5), 100), ((21, 1), 9999)]);
        let top = stand_out(processes, &before);
        let pids: Vec<u32> = top.iter().map(|(process, _)| process.pid).collect();
        assert_eq!(pids, [12, 11, 10, 9, 8, 7, 6, 5, 21, 20]);
        assert_eq!((top[8].1, top[9].1), (30, 50));
    }

    #[test]
    fn this_process_is_found_with_its_files() {
        let proc = Path::new("/proc");
        let me = std::process::id();
        let _held = [File::open("/dev/null").unwrap(), File::open("/dev/null").unwrap()];
        assert!(list(proc).unwrap().iter().any(|process| process.pid == me));
        assert!(open_files(proc, me).unwrap() >= 5);
        assert!(open_files_limit(proc, me).unwrap() >= 16);
        assert!(resident_pages(proc, me).unwrap() > 0);
        assert_eq!((open_files(proc, u32::MAX), resident_pages(proc, u32::MAX)), (None, None));
    }
}
