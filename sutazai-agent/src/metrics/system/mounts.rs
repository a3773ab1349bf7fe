//! Mounted file systems: `/proc/<pid>/mountinfo` (proc_pid_mountinfo(5)).

use std::path::Path;

/// File systems whose source is a pool and not a device under `/dev`.
const POOL_TYPES: [&str; 2] = ["zfs", "bcachefs"];
/// Image file systems, which are always full.
const IMAGE_TYPES: [&str; 5] = ["squashfs", "iso9660", "udf", "erofs", "cramfs"];
/// File systems in memory that can be full.
const MEMORY_TYPES: [&str; 2] = ["tmpfs", "devtmpfs"];
/// File systems that answer from the kernel's own memory and so never hang. Any other is queried by a child process.
const PROMPT_TYPES: [&str; 13] = [
    "ext2", "ext3", "ext4", "xfs", "vfat", "exfat", "ntfs3", "f2fs", "jfs", "tmpfs", "devtmpfs", "overlay",
    "ramfs",
];
/// Other file systems that never hang and that others may be mounted below.
const PSEUDO_TYPES: [&str; 3] = ["proc", "sysfs", "devpts"];
/// Options, in addition to `ro`, of a file system that the kernel has closed for writing after an error.
const CLOSED_OPTIONS: [&str; 2] = ["emergency_ro", "shutdown"];

/// One line of `mountinfo`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mount {
    pub(super) id: u64,
    /// Device number, as `8:1`; each file system in memory has its own.
    pub(super) device: String,
    pub(super) point: String,
    /// Options of this mount; `own_options` has those of the file system, including the ones it adds itself.
    options: String,
    own_options: String,
    pub(super) filesystem: String,
    pub(super) source: String,
}

impl Mount {
    /// Returns whether the file system can fill up: it is on a block device or in memory, or it is an overlay at the
    /// root, as in a container.
    pub(super) fn can_fill_up(&self) -> bool {
        match self.filesystem.as_str() {
            "overlay" => self.point == "/",
            image if IMAGE_TYPES.contains(&image) => false,
            _ => self.source.starts_with("/dev/") || self.is_pooled() || self.is_in_memory(),
        }
    }

    pub(super) fn is_pooled(&self) -> bool {
        POOL_TYPES.contains(&self.filesystem.as_str())
    }

    pub(super) fn is_in_memory(&self) -> bool {
        MEMORY_TYPES.contains(&self.filesystem.as_str())
    }

    /// Returns what all mounts of one file system share: its source, its pool, or its device number in memory.
    pub(super) fn key(&self) -> &str {
        match self.filesystem.as_str() {
            "zfs" => self.source.split('/').next().unwrap_or_default(),
            _ if self.is_in_memory() => &self.device,
            _ => &self.source,
        }
    }

    /// Returns whether this mount rejects all writes.
    pub(super) fn is_read_only(&self) -> bool {
        has(&self.options, "ro") || self.is_closed()
    }

    /// Returns whether it was mounted for writing and the kernel has since made it read-only. A mount that is read-only
    /// on purpose, such as an image, has `ro` in its own options, and an overlay without an upper folder was never
    /// writable.
    pub(super) fn has_failed(&self) -> bool {
        !has(&self.options, "ro") && self.is_closed() && self.filesystem != "overlay" && !self.is_in_memory()
    }

    fn is_closed(&self) -> bool {
        has(&self.own_options, "ro") || CLOSED_OPTIONS.iter().any(|option| has(&self.own_options, option))
    }

    /// Returns the folder on another file system that an overlay writes to.
    pub(super) fn upper_folder(&self) -> Option<String> {
        let mut options = (self.filesystem == "overlay").then(|| self.own_options.split(','))?;
        options.find_map(|option| option.strip_prefix("upperdir=")).map(unescape)
    }
}

fn has(options: &str, option: &str) -> bool {
    options.split(',').any(|one| one == option)
}

/// Parses all reachable mounts; a later mount hides one at the same point.
pub(super) fn parse(mountinfo: &str) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    for mount in mountinfo.lines().filter_map(line) {
        mounts.retain(|other| other.point != mount.point);
        mounts.push(mount);
    }
    mounts
}

/// Returns whether its free space can be queried without the risk of a hang.
pub(super) fn is_prompt(mount: &Mount, all: &[Mount]) -> bool {
    PROMPT_TYPES.contains(&mount.filesystem.as_str()) && is_near(mount, all)
}

/// Returns whether its type can be read without the risk of a hang: no server serves the mount or any mount above it.
pub(super) fn is_near(mount: &Mount, all: &[Mount]) -> bool {
    let point = Path::new(&mount.point);
    let prompt = |other: &Mount| {
        let kind = other.filesystem.as_str();
        other.point == "/" || PROMPT_TYPES.contains(&kind) || PSEUDO_TYPES.contains(&kind)
    };
    !mount.filesystem.starts_with("fuse")
        && all
            .iter()
            .filter(|other| point.starts_with(&other.point) && other.point != mount.point)
            .all(prompt)
}

/// Returns the mount that a path is on.
pub(super) fn of_path<'a>(path: &str, all: &'a [Mount]) -> Option<&'a Mount> {
    let on = all.iter().filter(|mount| Path::new(path).starts_with(&mount.point));
    on.max_by_key(|mount| mount.point.len())
}

fn line(line: &str) -> Option<Mount> {
    let (head, tail) = line.split_once(" - ")?;
    let head: Vec<&str> = head.split(' ').collect();
    let [id, _parent, device, _root, point, options] = *head.first_chunk()?;
    let mut tail = tail.split(' ');
    Some(Mount {
        id: id.parse().ok()?,
        device: device.to_owned(),
        point: unescape(point),
        options: options.to_owned(),
        filesystem: tail.next()?.to_owned(),
        source: unescape(tail.next()?),
        own_options: tail.next().unwrap_or_default().to_owned(),
    })
}

/// Decodes blanks and backslashes, which the kernel writes as `\` and three octal digits.
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

    #[test]
    fn failed_file_system_differs_from_an_intentionally_read_only_one() {
        for (mount, own, kind, read_only, failed) in [
            ("rw,relatime", "rw,errors=remount-ro", "ext4", false, false),
            ("rw,relatime", "ro,errors=remount-ro", "ext4", true, true),
            ("rw,relatime", "rw,emergency_ro", "ext4", true, true),
            ("rw,relatime", "rw,shutdown", "ext4", true, true),
            ("ro,relatime", "ro", "ext4", true, false),
            // Read-only through this mount alone, as a volume of a container.
            ("ro,relatime", "rw", "ext4", true, false),
            ("rw,relatime", "rw,subvol=/ro", "btrfs", false, false),
            ("rw,relatime", "ro,lowerdir=/a:/b", "overlay", true, false),
        ] {
            let text = format!("27 1 8:1 / /data {mount} shared:1 - {kind} /dev/sda1 {own}\n");
            let found = parse(&text).remove(0);
            assert_eq!((found.is_read_only(), found.has_failed()), (read_only, failed), "{text}");
        }
    }

    #[test]
    fn mount_below_a_server_may_hang() {
        let all = parse(
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:40 / /hung rw - fuse.sshfs /dev/fuse rw\n\
             3 2 8:2 / /hung/below rw - ext4 /dev/sda2 rw\n4 1 8:3 / /data rw - ext4 /dev/sda3 rw\n\
             5 1 8:4 / /hungry rw - ext4 /dev/sda4 rw\n6 1 0:50 / /pool rw - zfs tank/a rw\n",
        );
        let of = |holds: fn(&Mount, &[Mount]) -> bool| -> Vec<&str> {
            all.iter().filter(|mount| holds(mount, &all)).map(|mount| &*mount.point).collect()
        };
        assert_eq!(of(is_prompt), ["/", "/data", "/hungry"]);
        assert_eq!(of(is_near), ["/", "/data", "/hungry", "/pool"]);
        assert_eq!(of_path("/hung/below/x", &all).unwrap().point, "/hung/below");
        assert_eq!(of_path("/hungry/x", &all).unwrap().point, "/hungry");
    }

    #[test]
    fn upper_folder_of_an_overlay_is_on_another_file_system() {
        let overlay = "9 1 0:60 / /merged rw - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/a\\040b/diff,workdir=/w";
        assert_eq!(parse(overlay)[0].upper_folder().unwrap(), "/var/lib/a b/diff");
    }
}
