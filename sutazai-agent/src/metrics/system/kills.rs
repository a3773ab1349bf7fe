//! Kills for lack of memory.
//!
//! The kernel's log (`/dev/kmsg`, see the kernel's `Documentation/ABI/testing/dev-kmsg`) gives time, process and
//! control group of each; control groups of version 2 count the kills within them.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::time::{ClockId, clock_gettime};
use sutazai_core::domain::{KillInfo, KillMetrics};

/// Maximum number of listed kills; the latest are kept.
const MAX_KILLS: usize = 50;
/// Size of the buffer for one record; `PRINTK_MESSAGE_MAX` is smaller.
const RECORD_BYTES: usize = 8192;
/// Maximum number of records, in case the kernel writes faster than this reads.
const MAX_RECORDS: usize = 200_000;

/// Returns all known kills; `kmsg` is the device of the kernel's log.
pub(super) fn read(kmsg: &Path, sys: &Path) -> KillMetrics {
    // The log uses the monotonic clock.
    let now = clock_gettime(ClockId::Monotonic).tv_sec.unsigned_abs();
    KillMetrics { in_groups: in_groups(sys), logged: logged(kmsg, now) }
}

fn logged(kmsg: &Path, now: u64) -> Option<Vec<KillInfo>> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let mut log = File::options().read(true).custom_flags(flags).open(kmsg).ok()?;
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
            Err(_) => return None,
        }
    }
    kills.drain(..kills.len().saturating_sub(MAX_KILLS));
    Some(kills)
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
/// count of a group that never reached a limit is ignored.
fn in_groups(sys: &Path) -> Option<u64> {
    let root = sys.join("fs/cgroup");
    let controllers = fs::read_to_string(root.join("cgroup.controllers")).ok()?;
    if !controllers.split_whitespace().any(|controller| controller == "memory") {
        return None;
    }
    let groups = fs::read_dir(&root).ok()?.flatten();
    let killed = groups.filter_map(|group| {
        let events = fs::read_to_string(group.path().join("memory.events")).ok()?;
        let event = |name: &str| {
            let own = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<u64>().ok();
            events.lines().find_map(own)
        };
        event("oom").filter(|reached| *reached > 0)?;
        event("oom_kill")
    });
    Some(killed.fold(0, u64::saturating_add))
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
        assert_eq!(logged(Path::new("/no/such/log"), 1000), None);
    }

    #[test]
    fn groups_below_their_limit_count_no_kill() {
        let sys = tempfile::tempdir().unwrap();
        assert_eq!(in_groups(sys.path()), None);
        let root = sys.path().join("fs/cgroup");
        for (group, events) in [("a", "oom 2\noom_kill 3\noom_group_kill 0\n"), ("b", "oom 0\noom_kill 5\n")]
        {
            fs::create_dir_all(root.join(group)).unwrap();
            fs::write(root.join(group).join("memory.events"), events).unwrap();
        }
        fs::write(root.join("cgroup.controllers"), "cpu\n").unwrap();
        assert_eq!(in_groups(sys.path()), None, "nobody counts memory");
        fs::write(root.join("cgroup.controllers"), "cpu memory\n").unwrap();
        assert_eq!(in_groups(sys.path()), Some(3));
    }
}
