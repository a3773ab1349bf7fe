//! Mounted file systems: `/proc/self/mountinfo` (proc_pid_mountinfo(5)) and `statvfs(3)`.
//!
//! Listed is what can fill up: file systems on block devices, each once, and an overlay only where it is the root, as
//! in a container. Network file systems are left out, since asking a server that is gone would hang.

use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};
use sutazai_core::domain::DiskMetrics;

use super::percent;

/// File systems that keep data on disks of their own naming, not under `/dev`.
const POOLED: [&str; 2] = ["zfs", "bcachefs"];
/// Images that are always full.
const IMAGES: [&str; 5] = ["squashfs", "iso9660", "udf", "erofs", "cramfs"];

/// One line of `mountinfo`.
#[derive(Debug, Clone, PartialEq)]
struct Mount {
    point: String,
    filesystem: String,
    source: String,
}

/// Space and inodes of each file system, by mount point. One that cannot be asked is left out.
pub(super) fn measure(mountinfo: &str) -> Vec<DiskMetrics> {
    real(mountinfo, |point| Path::new(point).is_dir()).into_iter().filter_map(space).collect()
}

fn space(mount: Mount) -> Option<DiskMetrics> {
    let fs = statvfs(&mount.point).ok().filter(|fs| fs.f_blocks > 0)?;
    let used = fs.f_blocks.saturating_sub(fs.f_bfree) * fs.f_frsize;
    let available = fs.f_bavail * fs.f_frsize;
    let inodes_used = fs.f_files.saturating_sub(fs.f_ffree);
    Some(DiskMetrics {
        mount: mount.point,
        device: mount.source,
        filesystem: mount.filesystem,
        total_bytes: fs.f_blocks * fs.f_frsize,
        used_bytes: used,
        available_bytes: available,
        used_percent: percent(used as f64, (used + available) as f64),
        inodes_used_percent: (fs.f_files > 0).then(|| percent(inodes_used as f64, fs.f_files as f64)),
        read_only: fs.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}

/// The mounts worth asking: of one source the shortest mount point, of one mount point the mount on top. Single files
/// can be mounted too, as `/etc/hosts` of a container is: they stand for nothing that a folder of that source does not.
fn real(mountinfo: &str, is_folder: impl Fn(&str) -> bool) -> Vec<Mount> {
    let mut found: Vec<Mount> = Vec::new();
    for mount in mountinfo.lines().filter_map(parse) {
        found.retain(|other| other.point != mount.point);
        if can_fill_up(&mount) && is_folder(&mount.point) {
            found.push(mount);
        }
    }
    found.sort_by(|one, other| (one.point.len(), &one.point).cmp(&(other.point.len(), &other.point)));
    let mut seen = std::collections::HashSet::new();
    found.retain(|mount| seen.insert(mount.source.clone()));
    found.sort_by(|one, other| one.point.cmp(&other.point));
    found
}

fn can_fill_up(mount: &Mount) -> bool {
    let filesystem = mount.filesystem.as_str();
    match filesystem {
        "overlay" => mount.point == "/",
        _ if IMAGES.contains(&filesystem) => false,
        _ => mount.source.starts_with("/dev/") || POOLED.contains(&filesystem),
    }
}

fn parse(line: &str) -> Option<Mount> {
    let (head, tail) = line.split_once(" - ")?;
    let mut tail = tail.split(' ');
    Some(Mount {
        point: unescape(head.split(' ').nth(4)?),
        filesystem: tail.next()?.to_owned(),
        source: unescape(tail.next()?),
    })
}

/// The kernel writes blanks and backslashes as `\` and three octal digits.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|digits| first == b'\\' && digits.iter().all(u8::is_ascii_digit));
        match octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

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
";

    #[test]
    fn only_what_can_fill_up_is_listed_and_once() {
        let points: Vec<String> = real(MOUNTINFO, |_| true).into_iter().map(|mount| mount.point).collect();
        assert_eq!(points, ["/", "/mnt/my disk", "/tank"]);
    }

    #[test]
    fn a_container_has_its_root_and_its_volumes() {
        let container = "1 0 0:5 / / rw - overlay overlay rw\n2 1 0:6 / /dev rw - tmpfs tmpfs rw\n\
                         3 1 254:0 /docker/hosts /etc/hosts rw - ext4 /dev/vda1 rw\n\
                         4 1 254:0 /volumes/a /var/lib/data rw - ext4 /dev/vda1 rw\n";
        let points: Vec<String> =
            real(container, |point| point != "/etc/hosts").into_iter().map(|mount| mount.point).collect();
        assert_eq!(points, ["/", "/var/lib/data"], "a mounted file hides no volume");
    }

    #[test]
    fn a_read_tree_says_how_full_it_is() {
        let disks = measure(
            "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n28 1 9:9 / /no/such/place rw - ext4 /dev/b rw\n",
        );
        assert_eq!(disks.len(), 1);
        let root = &disks[0];
        assert!(root.used_bytes > 0 && root.used_bytes < root.total_bytes, "{root:?}");
        assert!((0.0..=100.0).contains(&root.used_percent));
    }
}
