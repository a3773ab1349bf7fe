//! Limits of the kernel in addition to those of resources: processes by user, by control group and in total, inotify
//! instances and watches, and tracked connections. Only limits that are at least half used are listed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sutazai_core::domain::{KernelLimit, LimitUse};

use super::super::missing::Missing;
use super::processes::Process;

/// Number of processes and threads below which a user's limit is not read: limits are rarely smaller.
const FEWEST_TASKS: u64 = 32;
/// Maximum number of a user's processes whose limit is read, those with most threads first.
const LIMITS_READ: usize = 32;
/// Maximum number of descriptors, over all processes, that are searched for inotify instances.
const MOST_DESCRIPTORS: usize = 50_000;
/// Maximum depth and number of control groups that are read.
const DEEPEST_GROUP: usize = 8;
const MOST_GROUPS: usize = 2000;

/// Returns the use of a limit if at least half of it is used.
pub(super) fn over_half(limit: KernelLimit, of: Option<String>, used: u64, allowed: u64) -> Option<LimitUse> {
    (allowed > 0 && used >= allowed.div_ceil(2)).then_some(LimitUse { limit, of, used, allowed })
}

/// Parses a file's only number; `None` for a word such as `max`.
pub(super) fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Metric paths of the limits whose use is counted over all processes.
pub(super) const OF_PROCESSES: [&str; 4] = [MACHINE_TASKS, "host.limits[user_tasks]", INSTANCES, WATCHES];
const MACHINE_TASKS: &str = "host.limits[machine_tasks]";
const INSTANCES: &str = "host.limits[inotify_instances]";
const WATCHES: &str = "host.limits[inotify_watches]";

/// Returns the use of all limits except those of TCP; of those that are counted over processes, if they are listed.
pub(super) fn read(
    proc: &Path,
    sys: &Path,
    processes: Option<&[Process]>,
    missing: &mut Missing,
) -> Vec<LimitUse> {
    let mut found = Vec::new();
    found.extend(processes.and_then(|processes| machine_tasks(proc, processes, missing)));
    found.extend(tracked_connections(proc, missing));
    found.extend(group_tasks(sys, missing));
    if let Some(processes) = processes {
        found.extend(user_tasks(proc, processes));
        found.extend(inotify(proc, processes, missing));
    }
    found
}

/// Returns the use of the connection tracking table; the kernel has it only while a firewall uses it.
fn tracked_connections(proc: &Path, missing: &mut Missing) -> Option<LimitUse> {
    const FIGURE: &str = "host.limits[tracked_connections]";
    let mut read = |file: &str| {
        let text = missing.read_if_exists(&[FIGURE], &proc.join("sys/net/netfilter").join(file))?;
        number(&text)
    };
    let (used, allowed) = (read("nf_conntrack_count"), read("nf_conntrack_max"));
    over_half(KernelLimit::TrackedConnections, None, used?, allowed?)
}

fn machine_tasks(proc: &Path, processes: &[Process], missing: &mut Missing) -> Option<LimitUse> {
    let mut read = |file: &str| number(&missing.read(&[MACHINE_TASKS], &proc.join("sys/kernel").join(file))?);
    let limits = [read("pid_max"), read("threads-max")];
    let allowed = limits.into_iter().flatten().min()?;
    over_half(KernelLimit::MachineTasks, None, processes.iter().map(|process| process.threads).sum(), allowed)
}

/// Returns the groups of both versions that have their own limit.
fn group_tasks(sys: &Path, missing: &mut Missing) -> Vec<LimitUse> {
    let mut found = Vec::new();
    for mount in ["fs/cgroup", "fs/cgroup/pids", "fs/cgroup/unified"].map(|mount| sys.join(mount)) {
        let mut waiting: Vec<(PathBuf, usize)> = vec![(mount.clone(), 0)];
        let mut seen = 0;
        while let Some((folder, depth)) = waiting.pop() {
            seen += 1;
            if seen > MOST_GROUPS {
                break;
            }
            let path = format!("/{}", folder.strip_prefix(&mount).unwrap_or(&folder).display());
            let mut read = |file: &str| {
                let figure = format!("host.limits[group_tasks:{path}]");
                number(&missing.read_if_exists(&[&figure], &folder.join(file))?)
            };
            if let Some(allowed) = read("pids.max")
                && let Some(used) = read("pids.current")
            {
                found.extend(over_half(KernelLimit::GroupTasks, Some(path), used, allowed));
            }
            // Below the mount of version 1 are the controllers, which are read as separate mounts.
            let is_group = folder.join("cgroup.procs").exists();
            if depth < DEEPEST_GROUP && is_group {
                let inner = fs::read_dir(&folder).into_iter().flatten().flatten();
                let folders = inner.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
                waiting.extend(folders.map(|entry| (entry.path(), depth + 1)));
            }
        }
    }
    found
}

/// Returns users near the smallest limit of their processes. Root is exempt from the limit.
fn user_tasks(proc: &Path, processes: &[Process]) -> Vec<LimitUse> {
    let mut users: BTreeMap<u32, Vec<&Process>> = BTreeMap::new();
    for process in processes.iter().filter(|process| process.user != 0) {
        users.entry(process.user).or_default().push(process);
    }
    let user = |(user, mut own): (u32, Vec<&Process>)| {
        let used: u64 = own.iter().map(|process| process.threads).sum();
        if used < FEWEST_TASKS {
            return None;
        }
        own.sort_by_key(|process| std::cmp::Reverse(process.threads));
        let limit = |process: &&Process| soft_limit(proc, process.pid, "Max processes");
        let allowed = own.iter().take(LIMITS_READ).filter_map(limit).min()?;
        over_half(KernelLimit::UserTasks, Some(user.to_string()), used, allowed)
    };
    users.into_iter().filter_map(user).collect()
}

/// Returns the soft limit of a process (`/proc/<pid>/limits`); `None` if it cannot be read or is unlimited.
pub(super) fn soft_limit(proc: &Path, pid: u32, name: &str) -> Option<u64> {
    let text = fs::read_to_string(proc.join(pid.to_string()).join("limits")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Returns the inotify instances and watches of each user, as far as descriptors can be listed.
fn inotify(proc: &Path, processes: &[Process], missing: &mut Missing) -> Vec<LimitUse> {
    let mut limit =
        |figure: &str, name: &str| number(&missing.read(&[figure], &proc.join("sys/fs/inotify").join(name))?);
    let (instances, watches) = (limit(INSTANCES, "max_user_instances"), limit(WATCHES, "max_user_watches"));
    if instances.is_none() && watches.is_none() {
        return Vec::new();
    }
    let mut used: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    let mut looked_at = 0;
    for process in processes {
        let folder = proc.join(process.pid.to_string());
        for entry in fs::read_dir(folder.join("fd")).into_iter().flatten().flatten() {
            looked_at += 1;
            if looked_at > MOST_DESCRIPTORS {
                return Vec::new();
            }
            let target = fs::read_link(entry.path());
            if target.is_ok_and(|target| target.as_os_str() == "anon_inode:inotify") {
                let info = fs::read_to_string(folder.join("fdinfo").join(entry.file_name()));
                let own = used.entry(process.user).or_default();
                own.0 += 1;
                own.1 += info.map_or(0, |info| {
                    info.lines().filter(|line| line.starts_with("inotify wd:")).count() as u64
                });
            }
        }
    }
    let of = |limit, user: &u32, used, allowed: Option<u64>| {
        over_half(limit, Some(user.to_string()), used, allowed?)
    };
    used.iter()
        .flat_map(|(user, (own, watched))| {
            [
                of(KernelLimit::InotifyInstances, user, *own, instances),
                of(KernelLimit::InotifyWatches, user, *watched, watches),
            ]
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::processes::tests::{of_user, process};
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, content) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    #[test]
    fn groups_with_a_limit_are_found_in_both_versions() {
        for mount in ["fs/cgroup", "fs/cgroup/pids"] {
            let sys = tempfile::tempdir().unwrap();
            let file = |name: &str| format!("{mount}/{name}");
            let files = [
                ("cgroup.procs", ""),
                ("a.slice/cgroup.procs", ""),
                ("a.slice/pids.max", "max\n"),
                ("a.slice/pids.current", "900\n"),
                ("a.slice/b.service/pids.max", "100\n"),
                ("a.slice/b.service/pids.current", "50\n"),
                ("a.slice/c.service/pids.max", "100\n"),
                ("a.slice/c.service/pids.current", "49\n"),
            ];
            for (name, content) in files {
                write(sys.path(), &[(file(name).as_str(), content)]);
            }
            let found = group_tasks(sys.path(), &mut Missing::default());
            let expected = LimitUse {
                limit: KernelLimit::GroupTasks,
                of: Some("/a.slice/b.service".into()),
                used: 50,
                allowed: 100,
            };
            assert_eq!(found, [expected], "{mount}");
        }
    }

    #[test]
    fn user_is_compared_with_the_smallest_limit_of_its_processes() {
        let proc = tempfile::tempdir().unwrap();
        let limits =
            |soft: &str| format!("Limit  Soft Limit  Hard Limit\nMax processes  {soft}  9999  processes\n");
        write(
            proc.path(),
            &[
                ("1/limits", &limits("60")),
                ("2/limits", &limits("100")),
                ("3/limits", &limits("unlimited")),
                ("4/limits", &limits("40")),
            ],
        );
        let processes =
            [of_user(1, 1000, 20), of_user(2, 1000, 30), of_user(3, 1001, 500), of_user(4, 0, 40)];
        let found = user_tasks(proc.path(), &processes);
        let seen: Vec<_> = found.iter().map(|one| (one.of.as_deref(), one.used, one.allowed)).collect();
        assert_eq!(seen, [(Some("1000"), 50, 60)], "neither root nor a user without a limit");
        let few = [of_user(1, 1000, FEWEST_TASKS - 1)];
        assert_eq!(user_tasks(proc.path(), &few), []);
    }

    #[test]
    fn machine_is_compared_with_the_smaller_of_two_limits() {
        let proc = tempfile::tempdir().unwrap();
        write(proc.path(), &[("sys/kernel/pid_max", "1000"), ("sys/kernel/threads-max", "100")]);
        let mut missing = Missing::default();
        let mut used_by = |threads| {
            let found = machine_tasks(proc.path(), &[of_user(1, 0, threads)], &mut missing);
            found.map(|one| (one.used, one.allowed))
        };
        assert_eq!(used_by(49), None);
        assert_eq!(used_by(50), Some((50, 100)));
        assert_eq!(missing.into_figures(), []);
    }

    #[test]
    fn inotify_instances_and_watches_are_counted_by_user() {
        let proc = tempfile::tempdir().unwrap();
        let limits = [("sys/fs/inotify/max_user_instances", "2"), ("sys/fs/inotify/max_user_watches", "8")];
        write(proc.path(), &limits);
        write(proc.path(), &[("7/fdinfo/3", "pos: 0\ninotify wd:1 ino:2\ninotify wd:2 ino:3\n")]);
        fs::create_dir_all(proc.path().join("7/fd")).unwrap();
        std::os::unix::fs::symlink("anon_inode:inotify", proc.path().join("7/fd/3")).unwrap();
        std::os::unix::fs::symlink("/dev/null", proc.path().join("7/fd/4")).unwrap();
        let read = || {
            let mut missing = Missing::default();
            let found = inotify(proc.path(), &[process(7, 1, 1)], &mut missing);
            let seen: Vec<_> = found.iter().map(|one| (one.limit, one.used, one.allowed)).collect();
            (seen, missing.into_figures())
        };
        let instances = vec![(KernelLimit::InotifyInstances, 1, 2)];
        assert_eq!(read(), (instances.clone(), vec![]), "two of eight watches are few");
        fs::remove_file(proc.path().join(limits[1].0)).unwrap();
        let (seen, missing) = read();
        assert_eq!((seen, &missing[0].figures[..]), (instances, &[WATCHES.to_owned()][..]));
    }
}
