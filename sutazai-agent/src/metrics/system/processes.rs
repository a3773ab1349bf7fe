//! Processes: `/proc/<pid>/stat` and, for those with memory of their own, `/proc/<pid>/status` (proc_pid_stat(5),
//! proc_pid_status(5)); open files only of the few that are listed.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use sutazai_core::domain::{ProcessInfo, ProcessMetrics, ZombieParent};
use sutazai_core::{Error, Result};

use super::limits::soft_limit;

/// Minimum number of listed processes, and maximum number of those listed for a single property.
const TOP: usize = 10;
const TOP_BY_CPU: usize = 5;
const TOP_BY_GROWTH: usize = 3;
const TOP_BY_FILES: usize = 2;
/// Number of processes that are always listed by their memory alone.
const TOP_BY_MEMORY: usize = 5;
/// Number of open files below which a process's limit is not read: smaller limits are not in use.
const FEWEST_FILES: u64 = 16;
/// Maximum number of listed parents of zombies.
const MOST_PARENTS: usize = 5;

/// Counters of each process, keyed by process number and start time, because numbers are reused.
pub(super) type ProcessCounters = HashMap<(u32, u64), Used>;

/// Counters of one process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Used {
    /// Processor time since the start of the process, in ticks.
    ticks: u64,
    /// Anonymous and shared memory in bytes.
    pub(super) own_memory_bytes: Option<u64>,
    /// Indicates that it has ended and was not waited for.
    zombie: bool,
    /// Indicates uninterruptible sleep outside a frozen control group.
    pub(super) blocked: bool,
}

/// State of one process at a reading.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Process {
    pub(super) pid: u32,
    name: String,
    state: char,
    parent: u32,
    /// Number of its real user.
    pub(super) user: u32,
    pub(super) threads: u64,
    ticks: u64,
    /// Start time in ticks since boot.
    began: u64,
    /// Approximate, but good enough to tell large from small: the kernel adds a processor's count only when a batch of
    /// pages has accumulated, which may be some MiB on a machine with many processors.
    resident_pages: u64,
    /// Exact, unlike `resident_pages`; in bytes.
    own_memory_bytes: Option<u64>,
}

/// Lists every process that can be read; those that end during the reading are left out.
///
/// # Errors
/// `Unavailable` if none can be read: this process is one of them.
pub(super) fn list(proc: &Path) -> Result<Vec<Process>> {
    let unreadable = |e| Error::unavailable(format!("{} cannot be listed: {e}", proc.display()));
    // One read suffices for `stat`, which has 52 numbers and a name of at most 64 bytes. `status` is longer, but the
    // lines in use are near its start.
    let (mut stat, mut status) = ([0; 2048], [0; 4096]);
    let mut found = Vec::new();
    for entry in fs::read_dir(proc).map_err(unreadable)?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let read = File::open(entry.path().join("stat")).and_then(|mut file| file.read(&mut stat));
        let parsed = read.ok().and_then(|length| parse(pid, &String::from_utf8_lossy(&stat[..length])));
        let Some(mut process) = parsed else { continue };
        // Kernel threads and zombies have no memory.
        if process.resident_pages > 0 {
            let read = File::open(entry.path().join("status")).and_then(|mut file| file.read(&mut status));
            if let Ok(length) = read {
                process.add_status(&String::from_utf8_lossy(&status[..length]));
            }
        }
        found.push(process);
    }
    if found.is_empty() {
        return Err(Error::unavailable(format!("{} lists no process that can be read", proc.display())));
    }
    Ok(found)
}

/// Returns the number and name of each process.
pub(super) fn names(processes: &[Process]) -> Vec<(u32, String)> {
    processes.iter().map(|process| (process.pid, process.name.clone())).collect()
}

/// Returns the counters and states of these processes.
pub(super) fn count([proc, sys]: [&Path; 2], processes: &[Process]) -> ProcessCounters {
    let used = |process: &Process| Used {
        ticks: process.ticks,
        own_memory_bytes: process.own_memory_bytes,
        zombie: process.state == 'Z',
        blocked: process.state == 'D' && !is_frozen(proc, sys, process.pid),
    };
    processes.iter().map(|process| ((process.pid, process.began), used(process))).collect()
}

/// Returns the share of one processor that process `pid` used between two readings, in percent; 0 if it did not run at
/// the second one.
pub(super) fn cpu_percent(before: &ProcessCounters, then: &ProcessCounters, pid: u32, seconds: f64) -> f64 {
    let Some((key, used)) = then.iter().find(|((number, _), _)| *number == pid) else { return 0.0 };
    let ticks = used.ticks.saturating_sub(before.get(key).map_or(0, |before| before.ticks));
    percent_of_one(ticks, seconds)
}

fn percent_of_one(ticks: u64, seconds: f64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64 / seconds * 100.0
}

/// Summarizes the processes, with details of those with high use. `counters` are theirs, `before` those of the reading
/// `seconds` ago, and `before_last` those of the one before it.
///
/// `uptime` is in seconds. If it is that of a container while processes count from the boot of the machine (LXC), some
/// appear to have started in the future: their age is unknown.
pub(super) fn summary(
    proc: &Path,
    processes: Vec<Process>,
    counters: &ProcessCounters,
    before: &ProcessCounters,
    before_last: Option<&ProcessCounters>,
    uptime: Option<f64>,
    seconds: f64,
) -> ProcessMetrics {
    let in_state =
        |states: &[char]| processes.iter().filter(|one| states.contains(&one.state)).count() as u32;
    let blocked = counters.values().filter(|one| one.blocked).count() as u32;
    let zombies: Vec<&Process> = processes.iter().filter(|one| one.state == 'Z').collect();
    // A zombie that exists only between the end of a process and its parent's `wait` is no fault.
    let was_zombie =
        |then: &ProcessCounters, one: &Process| then.get(&(one.pid, one.began)).is_some_and(|one| one.zombie);
    // A reading that could not list the processes has none, and shows nothing.
    let before_last = before_last.filter(|then| !then.is_empty());
    let lasts =
        |one: &Process| was_zombie(before, one) && before_last.is_none_or(|then| was_zombie(then, one));
    let lasting: Option<Vec<&Process>> =
        (!before.is_empty()).then(|| zombies.iter().copied().filter(|one| lasts(one)).collect());
    let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
    let page = rustix::param::page_size() as u64;
    let mut metrics = ProcessMetrics {
        count: processes.len() as u32,
        zombies: Some(zombies.len() as u32),
        lasting_zombies: lasting.as_ref().map(|lasting| lasting.len() as u32),
        zombie_parents: zombie_parents(&processes, &zombies, lasting.as_deref()),
        blocked: Some(blocked),
        frozen: Some(in_state(&['T', 't', 'D']).saturating_sub(blocked)),
        top: Vec::new(),
    };
    let near_limit = near_file_limit(proc, &processes);
    let top = stand_out(processes, before, &near_limit).into_iter().map(|(process, ticks)| ProcessInfo {
        open_files: open_files(proc, process.pid),
        open_files_limit: soft_limit(proc, process.pid, OPEN_FILES),
        pid: process.pid,
        name: process.name,
        cpu_percent: percent_of_one(ticks, seconds),
        memory_bytes: resident_pages(proc, process.pid).unwrap_or(process.resident_pages) * page,
        own_memory_bytes: process.own_memory_bytes,
        age_seconds: age(uptime, process.began as f64 / ticks_per_second),
    });
    metrics.top = top.collect();
    metrics
}

/// Selects the processes with most processor time since `before`, those that grew most and those near their limit of
/// open files, and adds those with most memory. The result is sorted by memory, most first. A process that is missing
/// in `before` has started since then.
fn stand_out(processes: Vec<Process>, before: &ProcessCounters, near_limit: &[u32]) -> Vec<(Process, u64)> {
    let then = |process: &Process| before.get(&(process.pid, process.began));
    let spent =
        |process: &Process| process.ticks.saturating_sub(then(process).map_or(0, |before| before.ticks));
    let mut all: Vec<(Process, u64)> =
        processes.into_iter().map(|p| (spent(&p), p)).map(|(t, p)| (p, t)).collect();
    all.sort_by_key(|(process, ticks)| Reverse((*ticks, process.resident_pages)));
    let busiest = all.iter().take(TOP_BY_CPU).filter(|(_, ticks)| *ticks > 0).map(|(process, _)| process.pid);
    let grown = |process: &Process| {
        let before = then(process)?.own_memory_bytes?;
        process.own_memory_bytes?.checked_sub(before).filter(|grown| *grown > 0)
    };
    let mut growing: Vec<(u64, u32)> =
        all.iter().filter_map(|(process, _)| Some((grown(process)?, process.pid))).collect();
    growing.sort_unstable_by_key(|one| Reverse(*one));
    let growing = growing.iter().take(TOP_BY_GROWTH).map(|(_, pid)| *pid);
    let chosen: HashSet<u32> = busiest.chain(growing).chain(near_limit.iter().copied()).collect();
    let is_chosen = |process: &Process| chosen.contains(&process.pid);
    all.sort_by_key(|(process, _)| Reverse((is_chosen(process), process.resident_pages)));
    all.truncate(TOP.max(chosen.len() + TOP_BY_MEMORY));
    all.sort_by_key(|(process, _)| Reverse((process.resident_pages, process.pid)));
    all
}

/// Returns the age in seconds. Both times are rounded, so a process that has just started may seem to start slightly
/// later than now.
fn age(uptime: Option<f64>, began: f64) -> Option<u64> {
    const ROUNDING: f64 = 1.0;
    let age = uptime? - began;
    (age > -ROUNDING).then_some(age.max(0.0) as u64)
}

/// Returns the processes nearest to their own limit of open files, among those that use more than half of it.
fn near_file_limit(proc: &Path, processes: &[Process]) -> Vec<u32> {
    let share = |pid: u32| {
        let open = file_count(proc, pid).filter(|open| *open >= FEWEST_FILES)? as f64;
        let limit = soft_limit(proc, pid, OPEN_FILES)? as f64;
        Some(open / limit).filter(|share| *share > 0.5)
    };
    let mut near: Vec<(f64, u32)> =
        processes.iter().filter_map(|process| Some((share(process.pid)?, process.pid))).collect();
    near.sort_by(|one, other| other.0.total_cmp(&one.0));
    near.into_iter().take(TOP_BY_FILES).map(|(_, pid)| pid).collect()
}

/// Returns the number of open files; kernels since 6.2 report it as the size of the folder.
fn file_count(proc: &Path, pid: u32) -> Option<u64> {
    let folder = proc.join(pid.to_string()).join("fd");
    let size = fs::metadata(&folder).ok()?.len();
    if size > 0 { Some(size) } else { open_files(proc, pid) }
}

/// Lists the parents of these zombies, those with most lasting ones first.
fn zombie_parents(
    processes: &[Process],
    zombies: &[&Process],
    lasting: Option<&[&Process]>,
) -> Vec<ZombieParent> {
    let (zombies, lasting) = (by_parent(zombies), lasting.map(by_parent));
    let parents = processes.iter().filter_map(|process| {
        Some(ZombieParent {
            pid: process.pid,
            name: process.name.clone(),
            zombies: *zombies.get(&process.pid)?,
            lasting_zombies: lasting.as_ref().map(|lasting| lasting.get(&process.pid).copied().unwrap_or(0)),
        })
    });
    let mut parents: Vec<ZombieParent> = parents.collect();
    parents.sort_by_key(|parent| (Reverse((parent.lasting_zombies, parent.zombies)), parent.pid));
    parents.truncate(MOST_PARENTS);
    parents
}

fn by_parent(zombies: &[&Process]) -> HashMap<u32, u32> {
    let mut counts = HashMap::new();
    for zombie in zombies {
        *counts.entry(zombie.parent).or_default() += 1;
    }
    counts
}

/// Returns whether the control group of the process, of version 1 or 2, is frozen; a frozen process otherwise looks
/// blocked.
fn is_frozen(proc: &Path, sys: &Path, pid: u32) -> bool {
    let groups = fs::read_to_string(proc.join(pid.to_string()).join("cgroup")).unwrap_or_default();
    let mount = sys.join("fs/cgroup");
    groups.lines().any(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { return false };
        let path = path.trim_start_matches('/');
        let holds = |file: &Path, text: &str| fs::read_to_string(file).is_ok_and(|read| read.contains(text));
        if controllers.split(',').any(|controller| controller == "freezer") {
            return holds(&mount.join("freezer").join(path).join("freezer.state"), "FR");
        }
        let folders = [mount.join(path), mount.join("unified").join(path)];
        controllers.is_empty() && folders.iter().any(|group| holds(&group.join("cgroup.events"), "frozen 1"))
    })
}

/// Returns the exact count (proc_pid_statm(5)), which costs the kernel more than that of `stat`.
fn resident_pages(proc: &Path, pid: u32) -> Option<u64> {
    fs::read_to_string(proc.join(pid.to_string()).join("statm")).ok()?.split(' ').nth(1)?.parse().ok()
}

fn open_files(proc: &Path, pid: u32) -> Option<u64> {
    Some(fs::read_dir(proc.join(pid.to_string()).join("fd")).ok()?.count() as u64)
}

/// Name of the line in `/proc/<pid>/limits`.
const OPEN_FILES: &str = "Max open files";

impl Process {
    /// Adds the values that only `status` has.
    fn add_status(&mut self, status: &str) {
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        self.user = number("Uid:").and_then(|user| user.try_into().ok()).unwrap_or(self.user);
        let kib = number("RssAnon:").and_then(|anonymous| Some(anonymous + number("RssShmem:")?));
        self.own_memory_bytes = kib.map(|kib| kib * 1024);
    }
}

/// Parses a line of `stat`. The name is in parentheses and may contain any character, including parentheses, so it
/// ends at the last one.
fn parse(pid: u32, stat: &str) -> Option<Process> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    // proc_pid_stat(5) numbers the fields from 1; the first one after the name is 3.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Process {
        pid,
        name: name.to_owned(),
        state: fields.first()?.chars().next()?,
        parent: number(4)? as u32,
        user: 0,
        threads: number(20)?,
        ticks: number(14)? + number(15)?,
        began: number(22)?,
        resident_pages: number(24)?,
        own_memory_bytes: None,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn process(pid: u32, ticks: u64, resident_pages: u64) -> Process {
        Process {
            pid,
            name: format!("p{pid}"),
            state: 'S',
            parent: 1,
            user: 0,
            threads: 1,
            ticks,
            began: 5,
            resident_pages,
            own_memory_bytes: None,
        }
    }

    pub(in super::super) fn of_user(pid: u32, user: u32, threads: u64) -> Process {
        Process { user, threads, ..process(pid, 1, 1) }
    }

    #[test]
    fn name_may_contain_parentheses_and_blanks() {
        let stat = "42 (a) R (b)) D 1 42 42 0 -1 4194560 100 0 0 0 7 3 0 0 20 0 1 0 900 1000000 250 184";
        let parsed = parse(42, stat).unwrap();
        let expected = Process {
            pid: 42,
            name: "a) R (b)".into(),
            state: 'D',
            parent: 1,
            user: 0,
            threads: 1,
            ticks: 10,
            began: 900,
            resident_pages: 250,
            own_memory_bytes: None,
        };
        assert_eq!(parsed, expected);
        assert_eq!(parse(42, "42 (short) S 1 2"), None);
    }

    #[test]
    fn age_is_unknown_for_a_start_in_the_future() {
        for (uptime, began, expected) in [
            (Some(100.0), 40.0, Some(60)),
            (Some(100.0), 100.4, Some(0)),
            // Uptime of a container, and a process that counts from the boot of the machine.
            (Some(100.0), 5000.0, None),
            (None, 5.0, None),
        ] {
            assert_eq!(age(uptime, began), expected, "{uptime:?} {began}");
        }
    }

    #[test]
    fn busy_and_large_processes_are_listed() {
        // Twelve large idle processes and two small busy ones, one of them with a reused number.
        let mut processes: Vec<Process> =
            (1..=12).map(|pid| process(pid, 100, 1000 + u64::from(pid))).collect();
        processes.extend([process(20, 150, 1), process(21, 30, 2)]);
        let used = |ticks| Used { ticks, own_memory_bytes: None, zombie: false, blocked: false };
        let mut before: ProcessCounters = (1..=12).map(|pid| ((pid, 5), used(100))).collect();
        before.extend([((20, 5), used(100)), ((21, 1), used(9999))]);
        let top = stand_out(processes, &before, &[]);
        let pids: Vec<u32> = top.iter().map(|(process, _)| process.pid).collect();
        assert_eq!(pids, [12, 11, 10, 9, 8, 7, 6, 5, 21, 20]);
        assert_eq!((top[8].1, top[9].1), (30, 50));
    }

    #[test]
    fn growing_processes_and_those_near_their_limit_are_listed() {
        let mut processes: Vec<Process> = (1..=20).map(|pid| process(pid, 1, 1000)).collect();
        processes.extend([30, 31, 32, 33, 40].map(|pid| process(pid, 1, 1)));
        let grown = |pid: u32| u64::from(pid) * 1000;
        for small in &mut processes[20..] {
            small.own_memory_bytes = Some(grown(small.pid));
        }
        let before = processes.iter().map(|one| {
            let own_memory_bytes =
                one.own_memory_bytes.map(|bytes| if one.pid == 40 { bytes } else { bytes / 2 });
            ((one.pid, 5), Used { ticks: 1, own_memory_bytes, zombie: false, blocked: false })
        });
        let top = stand_out(processes.clone(), &before.collect(), &[40]);
        let small: Vec<u32> = top.iter().map(|(one, _)| one.pid).filter(|pid| *pid >= 30).collect();
        assert_eq!(small, [40, 33, 32, 31], "three that grow, and one near its limit");
        assert_eq!(top.len(), TOP);
    }

    fn zombie(pid: u32, parent: u32) -> Process {
        Process { state: 'Z', parent, ..process(pid, 0, 0) }
    }

    /// Counts processes as a machine does that has no control groups.
    fn counted(processes: &[Process]) -> ProcessCounters {
        count([Path::new("/nonexistent"); 2], processes)
    }

    #[test]
    fn zombies_are_counted_by_parent() {
        let named = Process { name: "rm -rf /".into(), ..process(7, 0, 1) };
        let zombies =
            [zombie(10, 7), zombie(11, 8), zombie(12, 7), zombie(13, 99), zombie(14, 8), zombie(15, 8)];
        let processes = [&zombies[..], &[named, process(8, 0, 1)]].concat();
        let all: Vec<&Process> = zombies.iter().collect();
        let parents = zombie_parents(&processes, &all, Some(&all[..3]));
        let seen: Vec<_> = parents
            .iter()
            .map(|one| (one.pid, one.name.as_str(), one.zombies, one.lasting_zombies))
            .collect();
        assert_eq!(seen, [(7, "rm -rf /", 2, Some(2)), (8, "p8", 3, Some(1))]);
    }

    #[test]
    fn zombie_lasts_if_all_readings_show_it() {
        let runs = |pid| process(pid, 0, 1);
        // Of these five, the first is waited for soon, the second one just ended, and the number of the third one was
        // reused.
        let before_last =
            [runs(1), runs(2), Process { began: 1, ..zombie(3, 9) }, zombie(4, 9), zombie(5, 9)];
        let before =
            [zombie(1, 9), runs(2), Process { began: 1, ..zombie(3, 9) }, zombie(4, 9), zombie(5, 9)];
        let now = [zombie(1, 9), zombie(2, 9), zombie(3, 9), zombie(4, 9), zombie(5, 9), runs(9)];
        let [before_last, before] = [&before_last, &before].map(|one| counted(one));
        for (before_last, lasting) in [(Some(&before_last), 2), (None, 3)] {
            let counters = counted(&now);
            let nowhere = Path::new("/nonexistent");
            let summary = summary(nowhere, now.to_vec(), &counters, &before, before_last, None, 1.0);
            assert_eq!((summary.zombies, summary.lasting_zombies), (Some(5), Some(lasting)));
            let [parent] = summary.zombie_parents.as_slice() else { panic!("{summary:?}") };
            assert_eq!((parent.pid, parent.zombies, parent.lasting_zombies), (9, 5, Some(lasting)));
        }
    }

    #[test]
    fn processor_time_between_two_readings_is_of_the_same_process() {
        let ticks = rustix::param::clock_ticks_per_second();
        let before = counted(&[process(1, 100, 1), process(2, 9999, 1)]);
        let reused = Process { began: 6, ..process(2, ticks, 1) };
        let then = counted(&[process(1, 100 + ticks, 1), reused]);
        let used = |pid| cpu_percent(&before, &then, pid, 0.5);
        assert_eq!((used(1), used(2), used(3)), (200.0, 200.0, 0.0));
    }

    #[test]
    fn frozen_processes_are_not_blocked() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/1/cgroup", "6:freezer:/held\n0::/\n");
        write("proc/2/cgroup", "6:freezer:/free\n0::/\n");
        write("proc/3/cgroup", "0::/a/held\n");
        write("proc/4/cgroup", "0::/a\n");
        write("sys/fs/cgroup/freezer/held/freezer.state", "FROZEN\n");
        write("sys/fs/cgroup/freezer/free/freezer.state", "THAWED\n");
        write("sys/fs/cgroup/a/held/cgroup.events", "populated 1\nfrozen 1\n");
        write("sys/fs/cgroup/a/cgroup.events", "populated 1\nfrozen 0\n");
        let (proc, sys) = (root.path().join("proc"), root.path().join("sys"));
        let states = [(1, 'D'), (2, 'D'), (3, 'D'), (4, 'D'), (5, 'D'), (6, 'T'), (7, 'S')];
        let processes = states.map(|(pid, state)| Process { state, ..process(pid, 1, 1) }).to_vec();
        let counters = count([&proc, &sys], &processes);
        let none = ProcessCounters::new();
        let summary = summary(&proc, processes, &counters, &none, None, Some(100.0), 1.0);
        assert_eq!((summary.blocked, summary.frozen), (Some(3), Some(3)));
    }

    #[test]
    fn allocated_memory_leaves_out_mapped_files() {
        let mut one = process(1, 1, 1);
        one.add_status(
            "Name:\tx\nUid:\t1000\t0\t0\t0\nRssAnon:\t  100 kB\nRssFile:\t 900 kB\nRssShmem:\t 20 kB\n",
        );
        assert_eq!((one.user, one.own_memory_bytes), (1000, Some(120 * 1024)));
        let mut old = process(1, 1, 1);
        old.add_status("Uid:\t5\t5\t5\t5\nVmRSS:\t 9 kB\n");
        assert_eq!((old.user, old.own_memory_bytes), (5, None));
    }

    #[test]
    fn own_process_is_listed_with_its_files() {
        let proc = Path::new("/proc");
        let me = std::process::id();
        let _held = [File::open("/dev/null").unwrap(), File::open("/dev/null").unwrap()];
        assert!(list(proc).unwrap().iter().any(|process| process.pid == me));
        assert!(open_files(proc, me).unwrap() >= 5);
        assert!(soft_limit(proc, me, OPEN_FILES).unwrap() >= 16);
        let (counted, listed) = (file_count(proc, me).unwrap(), open_files(proc, me).unwrap());
        assert!(counted.abs_diff(listed) < 16, "{counted} {listed}: other tests open files as well");
        assert!(resident_pages(proc, me).unwrap() > 0);
        assert_eq!((open_files(proc, u32::MAX), resident_pages(proc, u32::MAX)), (None, None));
    }
}
