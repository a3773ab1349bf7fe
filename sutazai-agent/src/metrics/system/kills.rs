//! Kills for lack of memory.
//!
//! The kernel's log (`/dev/kmsg`, see the kernel's `Documentation/ABI/testing/dev-kmsg`) gives time, process and
//! control group of each; control groups of version 2 count the kills within them.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::time::{ClockId, clock_gettime};
use sutazai_core::Error;
use sutazai_core::domain::{KillInfo, KillMetrics};

use super::super::missing::{Missing, does_not_exist, unreadable};

/// Maximum number of listed kills; the latest are kept.
const MAX_KILLS: usize = 50;
/// Size of the buffer for one record; `PRINTK_MESSAGE_MAX` is smaller.
const RECORD_BYTES: usize = 8192;
/// Maximum number of records, in case the kernel writes faster than this reads.
const MAX_RECORDS: usize = 200_000;

/// Returns all known kills; `kmsg` is the device of the kernel's log.
pub(super) fn read(kmsg: &Path, sys: &Path, missing: &mut Missing) -> KillMetrics {
    // The log uses the monotonic clock.
    let now = clock_gettime(ClockId::Monotonic).tv_sec.unsigned_abs();
    let logged = logged(kmsg, now).map_err(|e| Error::unavailable(unreadable(kmsg, &e)));
    KillMetrics { in_groups: in_groups(sys, missing), logged: missing.keep(&["host.kills.logged"], logged) }
}

fn logged(kmsg: &Path, now: u64) -> io::Result<Vec<KillInfo>> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let mut log = File::options().read(true).custom_flags(flags).open(kmsg)?;
    let mut record = vec![0; RECORD_BYTES];
    let mut kills = Vec::new();
    for _ in 0..MAX_RECORDS {
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => {
                // A regular file returns everything in one read.
                let text = String::from_utf8_lossy(&record[..length]);
                kills.extend(text.lines().filter_map(|line| kill(line, now)));
            }
            // The record was overwritten in the meantime; the next read continues after it.
            Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::Interrupted) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) => return Err(e),
        }
    }
    kills.drain(..kills.len().saturating_sub(MAX_KILLS));
    Ok(kills)
}

/// Parses a line such as
/// `6,1234,98765432,-;oom-kill:constraint=CONSTRAINT_MEMCG,...,oom_memcg=/a,task_memcg=/a/b,task=python,pid=7,uid=0`:
/// level, number, microseconds since boot, flags. Only lines of the kernel itself count, which have no facility.
fn kill(line: &str, now: u64) -> Option<KillInfo> {
    let (head, text) = line.split_once(';')?;
    let mut fields = head.split(',');
    let level: u32 = fields.next()?.parse().ok()?;
    let micros: u64 = fields.nth(1)?.parse().ok()?;
    let text = text.strip_prefix("oom-kill:").filter(|_| level < 8)?;
    // The process name may contain anything; the `pid` and `uid` after it come from the kernel.
    let (rest, _) = text.rsplit_once(",uid=")?;
    let (rest, pid) = rest.rsplit_once(",pid=")?;
    let (rest, process) = rest.split_once(",task=")?;
    let group = rest.split_once(",oom_memcg=").map(|(_, group)| group);
    let group = group.map(|group| group.split_once(",task_memcg=").map_or(group, |(group, _)| group));
    Some(KillInfo {
        seconds_ago: now.saturating_sub(micros / 1_000_000),
        pid: pid.parse().ok()?,
        process: process.to_owned(),
        group: group.map(str::to_owned),
    })
}

/// Counts the kills in the outermost groups that reached a memory limit. A group counts kills of every kind, so the
/// count of a group that never reached a limit is ignored. Without the count of one group, the sum is unknown.
fn in_groups(sys: &Path, missing: &mut Missing) -> Option<u64> {
    const FIGURE: [&str; 1] = ["host.kills.in_groups"];
    let root = sys.join("fs/cgroup");
    let controllers = missing.read_if_exists(&FIGURE, &root.join("cgroup.controllers"))?;
    if !controllers.split_whitespace().any(|controller| controller == "memory") {
        return None;
    }
    let groups = fs::read_dir(&root).map_err(|e| Error::unavailable(unreadable(&root, &e)));
    let mut killed: u64 = 0;
    for group in missing.keep(&FIGURE, groups)?.flatten() {
        let path = group.path().join("memory.events");
        let events = match fs::read_to_string(&path) {
            Ok(events) => events,
            // An entry that is no group, or was removed.
            Err(e) if does_not_exist(&e) || e.kind() == ErrorKind::NotADirectory => continue,
            Err(e) => {
                missing.add(&FIGURE, unreadable(&path, &e));
                return None;
            }
        };
        let event = |name: &str| {
            let own = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok();
            events.lines().find_map(own)
        };
        if event("oom").is_some_and(|reached| reached > 0) {
            killed = killed.saturating_add(event("oom_kill").unwrap_or(0));
        }
    }
    Some(killed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
6,900,1000000,-;oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/a,task=big one, pid=1,pid=77,uid=1000
6,901,900000000,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,mems_allowed=0,oom_memcg=/docker/abc,task_memcg=/docker/abc/x,task=python,pid=78,uid=0
3,902,900000100,-;Memory cgroup out of memory: Killed process 78 (python) total-vm:9kB
14,903,900000200,-;oom-kill:constraint=CONSTRAINT_NONE,task_memcg=/,task=forged,pid=1,uid=0
6,904,broken
";

    #[test]
    fn log_gives_time_process_and_group() {
        let log = tempfile::NamedTempFile::new().unwrap();
        fs::write(log.path(), LOG).unwrap();
        let kill = |seconds_ago, pid, process: &str, group: Option<&str>| KillInfo {
            seconds_ago,
            pid,
            process: process.into(),
            group: group.map(str::to_owned),
        };
        let expected = [kill(999, 77, "big one, pid=1", None), kill(100, 78, "python", Some("/docker/abc"))];
        assert_eq!(logged(log.path(), 1000).unwrap(), expected);
        assert!(logged(Path::new("/no/such/log"), 1000).is_err());
    }

    #[test]
    fn groups_below_their_limit_count_no_kill() {
        let sys = tempfile::tempdir().unwrap();
        let mut missing = Missing::default();
        assert_eq!(in_groups(sys.path(), &mut missing), None);
        let root = sys.path().join("fs/cgroup");
        for (group, events) in [("a", "oom 2\noom_kill 3\noom_group_kill 0\n"), ("b", "oom 0\noom_kill 5\n")]
        {
            fs::create_dir_all(root.join(group)).unwrap();
            fs::write(root.join(group).join("memory.events"), events).unwrap();
        }
        fs::write(root.join("cgroup.controllers"), "cpu\n").unwrap();
        assert_eq!(in_groups(sys.path(), &mut missing), None, "nobody counts memory");
        fs::write(root.join("cgroup.controllers"), "cpu memory\n").unwrap();
        assert_eq!(in_groups(sys.path(), &mut missing), Some(3));
        // A folder in place of a file cannot be read, not even by root.
        fs::create_dir_all(root.join("c/memory.events")).unwrap();
        assert_eq!(in_groups(sys.path(), &mut missing), None);
        let [one] = &missing.into_figures()[..] else { panic!("one figure is missing") };
        assert!(one.reason.contains("c/memory.events cannot be read"), "{one:?}");
    }
}
