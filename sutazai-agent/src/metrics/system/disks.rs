//! Space of mounted file systems, by `statvfs(3)`.
//!
//! It lists file systems that can fill up: those on block devices, each once; those in memory that are over half full;
//! and an overlay only if it is the root, as in a container. Network file systems are left out, because querying a
//! server that is gone would hang. Others that may hang are queried by a child process, so that a hanging one loses
//! only its own figures.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::statvfs;
use sutazai_core::domain::{DiskMetrics, UnansweredMount};

use super::super::missing::Missing;
use super::super::stat_program::StatProgram;
use super::mounts::{self, Mount};
use super::percent;

/// Time limit for the answers of all mounts together.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Used share in percent from which a file system in memory is listed: there are many, and most are nearly empty.
const LISTED_IN_MEMORY: f64 = 50.0;
/// A dataset with less than this share of its pool's available space has its own limit.
const OWN_LIMIT: f64 = 0.95;

/// File systems of a machine, and the queries that have not been answered yet.
#[derive(Debug, Default)]
pub(super) struct Disks {
    asked: HashMap<String, StatProgram>,
}

/// Space of a file system in bytes and inodes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Space {
    total: u64,
    used: u64,
    available: u64,
    inodes: u64,
    inodes_free: u64,
}

impl Disks {
    /// Returns space and inodes of each file system, sorted by mount point, and the mounts that did not respond. Mount
    /// points that are not folders are left out; mounts that refuse the query are missing.
    pub(super) fn measure(
        &mut self,
        all: &[Mount],
        missing: &mut Missing,
    ) -> (Vec<DiskMetrics>, Vec<UnansweredMount>) {
        let (mut disks, mut pools) = (Vec::new(), BTreeMap::<String, Vec<(Mount, Space)>>::new());
        let (prompt, may_hang): (Vec<Mount>, Vec<Mount>) =
            real(all, |mount| !mounts::is_near(mount, all) || Path::new(&mount.point).is_dir())
                .into_iter()
                .partition(|mount| mounts::is_prompt(mount, all));
        self.asked.retain(|point, _| may_hang.iter().any(|mount| mount.point == *point));
        for mount in prompt {
            let space = space(&mount, missing);
            disks.extend(space.and_then(|space| disk(&mount, space)));
        }
        let (answered, unanswered) = self.ask(may_hang, missing);
        for (mount, space) in answered {
            if mount.filesystem == "zfs" {
                pools.entry(mount.key().to_owned()).or_default().push((mount, space));
            } else {
                disks.extend(disk(&mount, space));
            }
        }
        disks.extend(pools.into_iter().flat_map(|(name, datasets)| pool(&name, datasets)));
        disks.sort_by(|one, other| one.mount.cmp(&other.mount));
        (disks, unanswered)
    }

    /// Queries all of these mounts concurrently. A mount that has not answered an earlier query is neither queried
    /// again nor waited for until it has.
    fn ask(
        &mut self,
        mounts: Vec<Mount>,
        missing: &mut Missing,
    ) -> (Vec<(Mount, Space)>, Vec<UnansweredMount>) {
        let (mut answered, mut unanswered) = (Vec::new(), Vec::new());
        let mut waited_for = HashSet::new();
        for mount in &mounts {
            if !self.asked.contains_key(&mount.point)
                && let Ok(asked) = StatProgram::start(&[&mount.point])
            {
                waited_for.insert(mount.point.clone());
                self.asked.insert(mount.point.clone(), asked);
            }
        }
        let now = Instant::now();
        for mount in mounts {
            // One deadline for all new queries, so that many hanging mounts cost one second together and not one each.
            let until = if waited_for.contains(&mount.point) { now + ANSWER_TIMEOUT } else { now };
            let mut late = |waited: Duration| {
                unanswered.push(UnansweredMount {
                    mount: mount.point.clone(),
                    device: mount.source.clone(),
                    filesystem: mount.filesystem.clone(),
                    waited_seconds: waited.as_secs_f64(),
                });
            };
            let said = match self.asked.get_mut(&mount.point) {
                Some(asked) => match asked.answer(until) {
                    Some(said) => said,
                    None => {
                        late(asked.waited());
                        continue;
                    }
                },
                // If no child can be started, a mount without a server is queried directly.
                None if !mount.filesystem.starts_with("fuse") => {
                    answered.extend(space(&mount, missing).map(|space| (mount, space)));
                    continue;
                }
                None => {
                    late(Duration::ZERO);
                    continue;
                }
            };
            self.asked.remove(&mount.point);
            if said.trim().is_empty() {
                missing.add(&[&path(&mount)], format!("`stat -f {}` gave no result", mount.point));
            }
            answered.extend(parse(&said).map(|space| (mount, space)));
        }
        (answered, unanswered)
    }
}

/// Queries a mount directly. One that does not exist was unmounted since it was listed.
fn space(mount: &Mount, missing: &mut Missing) -> Option<Space> {
    let fs = match statvfs(&mount.point) {
        Ok(fs) => fs,
        Err(rustix::io::Errno::NOENT) => return None,
        Err(e) => {
            missing.add(&[&path(mount)], format!("statvfs({}) failed: {e}", mount.point));
            return None;
        }
    };
    of_blocks([fs.f_frsize, fs.f_blocks, fs.f_bfree, fs.f_bavail, fs.f_files, fs.f_ffree])
}

/// Returns the metric path of the figures of a mount.
fn path(mount: &Mount) -> String {
    format!("host.disks[{}]", mount.point)
}

/// Parses the numbers that the program prints, in its order.
fn parse(said: &str) -> Option<Space> {
    let mut numbers = said.split(' ').map_while(|number| number.parse().ok());
    let mut next = || numbers.next();
    of_blocks([next()?, next()?, next()?, next()?, next()?, next()?])
}

/// Converts blocks into bytes; `None` for a file system without a size.
fn of_blocks([size, blocks, free, available, inodes, inodes_free]: [u64; 6]) -> Option<Space> {
    (blocks > 0).then(|| Space {
        total: blocks.saturating_mul(size),
        used: blocks.saturating_sub(free).saturating_mul(size),
        available: available.saturating_mul(size),
        inodes,
        inodes_free,
    })
}

/// Builds the figures of a disk; `None` for a file system in memory with little in it.
fn disk(mount: &Mount, space: Space) -> Option<DiskMetrics> {
    let inodes_used = space.inodes.saturating_sub(space.inodes_free) as f64;
    let inodes = (space.inodes > 0).then(|| percent(inodes_used, space.inodes as f64));
    let used = percent(space.used as f64, space.used as f64 + space.available as f64);
    let full = used.max(inodes.unwrap_or(0.0));
    (!mount.is_in_memory() || full > LISTED_IN_MEMORY).then(|| DiskMetrics {
        mount: mount.point.clone(),
        device: mount.source.clone(),
        filesystem: mount.filesystem.clone(),
        total_bytes: space.total,
        used_bytes: space.used,
        available_bytes: space.available,
        used_percent: used,
        inodes_used_percent: inodes,
        read_only: mount.is_read_only(),
        failed: Some(mount.has_failed()),
        deleted_files: None,
    })
}

/// Combines the datasets of one pool into one disk: they share the available space, and each reports what it holds. A
/// dataset with its own limit can be full alone, and is a separate disk in addition to the pool.
fn pool(name: &str, datasets: Vec<(Mount, Space)>) -> Vec<DiskMetrics> {
    let available = datasets.iter().map(|(_, space)| space.available).max().unwrap_or(0);
    let used = datasets.iter().fold(0, |sum: u64, (_, space)| sum.saturating_add(space.used));
    let Some((first, _)) = datasets.iter().min_by_key(|(mount, _)| (mount.point.len(), mount.point.clone()))
    else {
        return Vec::new();
    };
    let whole = Space { total: used.saturating_add(available), used, available, inodes: 0, inodes_free: 0 };
    let own_limit = |mount: &Mount, space: &Space| {
        mount != first && (space.available as f64) < available as f64 * OWN_LIMIT
    };
    let limited = datasets.iter().filter(|(mount, space)| own_limit(mount, space));
    // A pool creates inodes as needed, so their number is meaningless.
    let limited = limited.filter_map(|(mount, space)| disk(mount, Space { inodes: 0, ..*space }));
    let pool = disk(first, whole).map(|disk| DiskMetrics { device: name.to_owned(), ..disk });
    pool.into_iter().chain(limited).collect()
}

/// Selects the mounts to query: the shortest mount point of each file system, and every dataset of a pool. Single files
/// can be mounted too, such as `/etc/hosts` in a container; a folder of the same source represents them.
fn real(all: &[Mount], is_folder: impl Fn(&Mount) -> bool) -> Vec<Mount> {
    let mut found: Vec<Mount> =
        all.iter().filter(|mount| mount.can_fill_up() && is_folder(mount)).cloned().collect();
    found.sort_by(|one, other| (one.point.len(), &one.point).cmp(&(other.point.len(), &other.point)));
    let mut seen = HashSet::new();
    let own =
        |mount: &Mount| if mount.filesystem == "zfs" { mount.source.clone() } else { mount.key().to_owned() };
    found.retain(|mount| seen.insert(own(mount)));
    found.sort_by(|one, other| one.point.cmp(&other.point));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const MOUNTINFO: &str = r"22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 27 254:0 /var/lib/x /srv/x rw - ext4 /dev/vda1 rw
31 27 0:30 / /run rw - tmpfs tmpfs rw
32 27 7:1 / /snap/core ro - squashfs /dev/loop1 ro
33 27 8:1 / /mnt/my\040disk rw - xfs /dev/sdb1 rw
34 27 0:50 / /var/lib/docker/overlay2/abc/merged rw - overlay overlay rw
35 27 0:51 / /tank rw - zfs tank/data rw
36 27 8:2 / /hidden rw - ext4 /dev/sdc1 rw
37 27 0:52 / /hidden rw - tmpfs tmpfs rw
38 27 0:53 / /net rw - nfs4 server:/x rw
39 27 0:30 /lock /run/lock rw - tmpfs tmpfs rw
";

    fn points(mountinfo: &str, is_folder: impl Fn(&Mount) -> bool) -> Vec<String> {
        real(&mounts::parse(mountinfo), is_folder).into_iter().map(|mount| mount.point).collect()
    }

    #[test]
    fn only_file_systems_that_can_fill_up_are_queried_once() {
        assert_eq!(points(MOUNTINFO, |_| true), ["/", "/hidden", "/mnt/my disk", "/run", "/tank"]);
    }

    #[test]
    fn container_has_its_root_and_volumes() {
        let container = "1 0 0:5 / / rw - overlay overlay rw\n2 1 0:6 / /dev rw - tmpfs tmpfs rw\n\
                         3 1 254:0 /docker/hosts /etc/hosts rw - ext4 /dev/vda1 rw\n\
                         4 1 254:0 /volumes/a /var/lib/data rw - ext4 /dev/vda1 rw\n";
        let found = points(container, |mount| mount.point != "/etc/hosts");
        assert_eq!(found, ["/", "/dev", "/var/lib/data"], "a mounted file hides no volume");
    }

    #[test]
    fn mounted_folder_reports_its_space() {
        let text =
            "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n28 1 9:9 / /no/such/place rw - ext4 /dev/b rw\n";
        let (disks, unanswered) = Disks::default().measure(&mounts::parse(text), &mut Missing::default());
        assert_eq!((disks.len(), unanswered.len()), (1, 0));
        let root = &disks[0];
        assert!(root.used_bytes > 0 && root.used_bytes < root.total_bytes, "{root:?}");
        assert!((0.0..=100.0).contains(&root.used_percent));
    }

    #[test]
    fn child_and_direct_query_agree() {
        let here = |kind: &str| {
            let text = format!("27 1 254:0 / / rw,relatime - {kind} /dev/vda rw\n");
            Disks::default().measure(&mounts::parse(&text), &mut Missing::default()).0.remove(0)
        };
        let (asked, child) = (here("ext4"), here("btrfs"));
        assert_eq!((asked.total_bytes, child.filesystem.as_str()), (child.total_bytes, "btrfs"));
        assert!((asked.used_percent - child.used_percent).abs() < 1.0, "{asked:?} {child:?}");
    }

    fn dataset(name: &str, used: u64, available: u64) -> (Mount, Space) {
        let text = format!("9 1 0:9 / /{name} rw - zfs {name} rw");
        let space = Space { total: used + available, used, available, inodes: 9, inodes_free: 9 };
        (mounts::parse(&text).remove(0), space)
    }

    #[test]
    fn one_pool_is_one_disk() {
        let mut datasets: Vec<_> =
            (0..40).map(|n| dataset(&format!("tank/d{n}"), 2 * GIB, 20 * GIB)).collect();
        datasets.push(dataset("tank", GIB, 20 * GIB));
        let disks = pool("tank", datasets.clone());
        assert_eq!(disks.len(), 1, "{disks:?}");
        let tank = &disks[0];
        assert_eq!((&*tank.mount, &*tank.device, tank.used_bytes), ("/tank", "tank", 81 * GIB));
        assert_eq!((tank.used_percent.round(), tank.inodes_used_percent), (80.0, None));

        datasets.push(dataset("tank/limited", 9 * GIB, GIB));
        let disks = pool("tank", datasets);
        assert_eq!(disks[1].mount, "/tank/limited");
        assert_eq!(
            (disks.len(), disks[1].used_percent),
            (2, 90.0),
            "a dataset with a quota can be full alone"
        );
    }

    #[test]
    fn file_system_in_memory_is_listed_when_in_use() {
        let mount = &mounts::parse("9 1 0:9 / /tmp rw - tmpfs tmpfs rw")[0];
        let space =
            |used, inodes_free| Space { total: 100, used, available: 100 - used, inodes: 10, inodes_free };
        assert_eq!(disk(mount, space(50, 5)), None);
        assert_eq!(disk(mount, space(51, 5)).unwrap().used_percent, 51.0);
        assert_eq!(disk(mount, space(1, 1)).unwrap().inodes_used_percent, Some(90.0), "many small files");
    }
}
