//! Rules about file systems: space, inodes, and file systems that can no longer be written.

use sutazai_core::domain::{DiskMetrics, Severity};

use super::bounds::Bounds;
use super::draft::{Draft, Found};
use super::figures::{bytes, percent};
use super::judged::{Judged, Levels};
use super::names::{clean_name, path_argument};
use super::rule::{Facts, Rest, Rule};
use super::tmpfs;

/// Used share in percent as `df` counts it. 90 % is the usual threshold in monitoring, so the warning comes a little
/// before.
const SPACE: Bounds = Bounds::new(85.0, 95.0);
/// Available bytes from which a high share is one step less severe: 5 % of a large disk may last for years.
const ROOMY_BYTES: u64 = 100 << 30;
/// Used share of inodes in percent, as for space.
const INODES_BOUNDS: Bounds = Bounds::new(85.0, 95.0);
/// File system types that are usually mounted for writing.
const WRITABLE_TYPES: [&str; 9] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "zfs", "bcachefs"];
/// Mount points that programs write to. Others (`/usr`, `/boot`, media, volumes of a container) are often read-only on
/// purpose.
const WRITTEN_MOUNTS: [&str; 8] = ["/", "/var", "/var/lib", "/var/log", "/home", "/srv", "/tmp", "/opt"];

pub(super) const SHOW_SPACE: [&str; 3] = [
    "See all file systems and how full they are.",
    "df -h",
    "Run {command} to see all file systems and how full each one is.",
];
const SHOW_INODES: [&str; 3] = [
    "See the inodes of each file system.",
    "df -i",
    "Run {command} to see how many inodes each file system has left.",
];
const SHOW_MOUNTS: [&str; 3] = [
    "See how each file system is mounted.",
    "findmnt --real",
    "Run {command} to see how each file system is mounted and with which options.",
];
pub(super) const WRITES_FAIL: &str =
    "When the space is used up, programs that write there [fail|stop working].";
const CREATION_FAILS: &str =
    "When no inode is left, programs cannot create files even if there is free space.";
const NOT_WRITABLE: &str =
    "Programs that have to write there [fail|stop working] until it is writable again.";

/// Reports a file system that is nearly full.
pub(super) const DISK_SPACE: Rule = Rule {
    name: "disk_space",
    title: "Disk space",
    meaning: "Programs fail when they cannot write. The share is counted as `df` does, without what is kept \
              for root. With 100 GiB or more left it is one step less bad. Read-only file systems and those \
              in memory are left out. All datasets of a ZFS pool are one disk.",
    conditions: ["over 85 % with 100 GiB or more left", "over 85 %", "over 95 %"],
    source: "90 % is the customary bound; it is reported a little before. The 100 GiB are ours",
    judged: &[Judged::percent("host.disks[<mount>].used_percent", SPACE.levels_from_info())],
    needs: &["host.disks"],
    check: |facts| each(facts, &DISK_SPACE, &rest("short of space", WRITES_FAIL, SHOW_SPACE), space),
};

/// Reports a file system that is running out of inodes.
pub(super) const INODES: Rule = Rule {
    name: "inodes",
    title: "Inodes",
    meaning: "There is a fixed number of files, however small.",
    conditions: ["", "over 85 %", "over 95 %"],
    source: "As for space",
    judged: &[Judged::percent("host.disks[<mount>].inodes_used_percent", INODES_BOUNDS.levels())],
    needs: &["host.disks.inodes_used_percent"],
    check: |facts| each(facts, &INODES, &rest("short of inodes", CREATION_FAILS, SHOW_INODES), inodes),
};

/// Reports a file system that programs write to but that is mounted read-only.
pub(super) const DISK_READ_ONLY: Rule = Rule {
    name: "disk_read_only",
    title: "Read-only file system",
    meaning: "A file system made to be written (ext, xfs, btrfs ...) is mounted read-only where programs \
              write (`/`, `/var`, `/home` ...), or it was mounted for writing anywhere and the kernel has \
              made it read-only since: then its own options say `ro` or `emergency_ro`, and those of the \
              mount do not. Images and other places are left out, since there it is on purpose.",
    conditions: ["", "mounted so", "made so by the kernel"],
    source: "`errors=remount-ro` of mount(8): the kernel does that after an error",
    judged: &[
        Judged::above("host.disks[<mount>].read_only", "flag", Levels::NONE.warning(0.0)),
        Judged::above("host.disks[<mount>].failed", "flag", Levels::NONE.critical(0.0)),
    ],
    needs: &["host.disks"],
    check: |facts| {
        each(facts, &DISK_READ_ONLY, &rest("mounted read-only", NOT_WRITABLE, SHOW_MOUNTS), read_only)
    },
};

pub(super) fn each(
    facts: &Facts<'_>,
    rule: &Rule,
    rest: &Rest,
    judge: fn(&Facts<'_>, &DiskMetrics) -> Option<Found>,
) -> Vec<Found> {
    let disks = facts.snapshot.host.value().into_iter().flat_map(|host| &host.disks);
    rule.worst(disks.filter_map(|disk| judge(facts, disk)).collect(), rest)
}

/// Describes the file systems beyond the reported ones, with a command that shows all of them.
pub(super) const fn rest(are: &'static str, consequence: &'static str, show: [&'static str; 3]) -> Rest {
    let [text, command, advice] = show;
    Rest { metric: "host.disks", things: "file systems", are, consequence, text, command, advice }
}

fn space(facts: &Facts<'_>, disk: &DiskMetrics) -> Option<Found> {
    if disk.read_only || tmpfs::is_in_memory(disk) {
        return None;
    }
    facts.look();
    let (grade, bound) = SPACE.grade(disk.used_percent)?;
    let roomy = disk.available_bytes >= ROOMY_BYTES;
    let (severity, state) = match grade {
        Severity::Critical if roomy => (Severity::Warning, "is mostly full"),
        _ if roomy => (Severity::Info, "is mostly full"),
        Severity::Critical => (Severity::Critical, "is nearly full"),
        severity => (severity, "has little space left"),
    };
    let (used, left, total) =
        (percent(disk.used_percent), bytes(disk.available_bytes as f64), bytes(disk.total_bytes as f64));
    let (title, own) = (title(disk), own_name(disk));
    let draft = on(&DISK_SPACE, severity, disk)
        .judged(path(disk, "used_percent"), disk.used_percent, "percent", bound)
        .since(facts.trends.over_since(&format!("host.disks[{}].used_percent", disk.mount), bound))
        .context(path(disk, "available_bytes"), disk.available_bytes as f64, "bytes")
        .context(path(disk, "total_bytes"), disk.total_bytes as f64, "bytes")
        .statements([
            format!("{title} is {used} full, with {left} of {total} left."),
            format!("{title} has {left} of {total} left and is {used} full."),
            format!("On {own}, {used} of the space is used and {left} is left."),
        ]);
    let draft = if roomy {
        draft.consequences(&[
            "The space that is left is large, but it is a small part of this file system.",
            "A file system that is nearly full may become slower, because free space is scattered.",
            "Programs fail when they cannot write, so it is better to make space early.",
        ])
    } else {
        let now = match severity {
            Severity::Critical => "Programs [fail|stop working] when they cannot write.",
            _ => WRITES_FAIL,
        };
        draft.consequences(&[
            now,
            "Databases, logs and package updates need free space and fail without it.",
            "A large file such as a backup may no longer fit.",
        ])
    };
    let found = draft
        .command_if(
            "See which folders take the most space.",
            largest_folders(disk),
            "Run {command} to see which folders take the most space, and look there for old logs, caches and backups.",
        )
        .remedy("Move or remove what is not needed, or make the file system larger.")
        .advice("Check that log files are rotated, and keep logs and backups for a shorter time.")
        .advice("If the folders do not explain the used space, look for deleted files that a process still holds open.")
        .finish(format!("{own} {state}"));
    Some(found)
}

fn inodes(facts: &Facts<'_>, disk: &DiskMetrics) -> Option<Found> {
    let used = disk.inodes_used_percent.filter(|_| !disk.read_only)?;
    facts.look();
    let (severity, bound) = INODES_BOUNDS.grade(used)?;
    let series = format!("host.disks[{}].inodes_used_percent", disk.mount);
    let (title, own, share) = (title(disk), own_name(disk), percent(used));
    let state = match severity {
        Severity::Critical => "is nearly out of inodes",
        _ => "has used most of its inodes",
    };
    let found = on(&INODES, severity, disk)
        .judged(path(disk, "inodes_used_percent"), used, "percent", bound)
        .since(facts.trends.over_since(&series, bound))
        .statements([
            format!("{title} has used {share} of its inodes, of which every file needs one."),
            format!("On {own}, {share} of the inodes are in use."),
            format!("{title} has reached {share} of the number of files that it can hold."),
        ])
        .consequences(&[
            CREATION_FAILS,
            "Programs then report that no space is left, which is easy to misread.",
            "A large number of small files also slows down backups and searches.",
        ])
        .command(SHOW_INODES[0], SHOW_INODES[1], SHOW_INODES[2])
        .command_if(
            "See which folders hold the most files.",
            most_files(disk),
            "Run {command} to see which folders hold the most files, and look there for old sessions and caches.",
        )
        .remedy("Remove small files that are not needed, such as old sessions and caches.")
        .advice("Set up a regular cleanup for the folder that collects these files.")
        .advice("If all of the files are needed, move some to a file system that was created with more inodes.")
        .finish(format!("{own} {state}"));
    Some(found)
}

fn read_only(facts: &Facts<'_>, disk: &DiskMetrics) -> Option<Found> {
    facts.look();
    if disk.failed == Some(true) {
        return Some(failed(disk));
    }
    let written = WRITTEN_MOUNTS.contains(&disk.mount.as_str());
    if !disk.read_only || !written || !WRITABLE_TYPES.contains(&disk.filesystem.as_str()) {
        return None;
    }
    let (title, own) = (title(disk), own_name(disk));
    let found = on(&DISK_READ_ONLY, Severity::Warning, disk)
        .judged(path(disk, "read_only"), 1.0, "flag", 0.0)
        .statements([
            format!("{title} is mounted read-only, either on purpose or after a disk error."),
            format!("{title} is mounted read-only, although programs usually write there."),
            format!("No program can write to {own}, because it is mounted read-only."),
        ])
        .consequences(&[
            NOT_WRITABLE,
            "The kernel can make a file system read-only after errors, to protect its data.",
        ])
        .command(
            "Read what the kernel reported about its disks.",
            "journalctl -k -p warning | tail -n 50",
            "Run {command} to look for disk or file system errors that the kernel reported.",
        )
        .command(SHOW_MOUNTS[0], SHOW_MOUNTS[1], SHOW_MOUNTS[2])
        .remedy("Check the disk before mounting the file system for writing again.")
        .advice("If the kernel reported errors, save the data first and check the file system while it is unmounted.")
        .advice("If it is read-only on purpose, configure the programs to write elsewhere.")
        .finish(format!("{own} is mounted read-only"));
    Some(found)
}

/// Reports a file system that was mounted for writing and that the kernel has made read-only.
fn failed(disk: &DiskMetrics) -> Found {
    let (title, own) = (title(disk), own_name(disk));
    on(&DISK_READ_ONLY, Severity::Critical, disk)
        .judged(path(disk, "failed"), 1.0, "flag", 0.0)
        .statements([
            format!("{title} was mounted for writing, and the kernel has made it read-only since."),
            format!("The kernel no longer allows writing to {own}, although it was mounted for that."),
        ])
        .consequences(&[
            NOT_WRITABLE,
            "The kernel makes a file system read-only after errors, to protect its data.",
            "A disk that is about to fail, a lost connection to storage or a damaged file system is the usual cause.",
        ])
        .command(
            "Read what the kernel reported about its disks.",
            "journalctl -k -p warning | tail -n 50",
            "Run {command} to look for disk or file system errors that the kernel reported.",
        )
        .command(SHOW_MOUNTS[0], SHOW_MOUNTS[1], SHOW_MOUNTS[2])
        .remedy("Save the data first, and check the file system while it is unmounted.")
        .advice("Check the health of the disk with its SMART data before it is used again.")
        .finish(format!("{own} was made read-only by the kernel"))
}

pub(super) fn on(rule: &Rule, severity: Severity, disk: &DiskMetrics) -> Draft {
    Draft::new(rule, severity, own_name(disk)).about(&clean_name(&disk.mount))
}

/// Returns the name of the disk for the beginning of a sentence.
pub(super) fn title(disk: &DiskMetrics) -> String {
    format!("Disk {}", clean_name(&disk.mount))
}

/// Returns the name of the disk for the middle of a sentence.
pub(super) fn own_name(disk: &DiskMetrics) -> String {
    format!("disk {}", clean_name(&disk.mount))
}

pub(super) fn path(disk: &DiskMetrics, figure: &str) -> String {
    format!("host.disks[{}].{figure}", clean_name(&disk.mount))
}

pub(super) fn largest_folders(disk: &DiskMetrics) -> Option<String> {
    path_argument(&disk.mount).map(|mount| format!("du -xh --max-depth=2 {mount} | sort -h | tail"))
}

fn most_files(disk: &DiskMetrics) -> Option<String> {
    path_argument(&disk.mount).map(|mount| format!("du -x --inodes --max-depth=2 {mount} | sort -n | tail"))
}

#[cfg(test)]
pub(super) mod tests {
    use sutazai_core::domain::Severity::{Critical, Info, Warning};
    use sutazai_core::domain::Snapshot;

    use super::super::rule::tests::grade;
    use super::super::sample::{around, healthy, host};
    use super::super::trends::Trends;
    use super::*;

    pub(in super::super) fn with(change: impl Fn(&mut DiskMetrics)) -> Snapshot {
        let mut snapshot = healthy();
        change(&mut host(&mut snapshot).disks[0]);
        snapshot
    }

    #[test]
    fn space_bounds_are_softened_on_roomy_disks() {
        for (value, expected) in around(85.0, 95.0) {
            let small = with(|disk| disk.used_percent = value);
            assert_eq!(grade(&DISK_SPACE, &small), expected, "{value}");
            let roomy = with(|disk| (disk.used_percent, disk.available_bytes) = (value, 100 << 30));
            let softer = expected.map(|severity| if severity == Critical { Warning } else { Info });
            assert_eq!(grade(&DISK_SPACE, &roomy), softer, "{value}");
            let image = with(|disk| (disk.used_percent, disk.read_only) = (value, true));
            assert_eq!(grade(&DISK_SPACE, &image), None, "{value}");
        }
    }

    #[test]
    fn inodes_are_graded_by_bounds() {
        for (value, expected) in around(85.0, 95.0) {
            let snapshot = with(|disk| disk.inodes_used_percent = Some(value));
            assert_eq!(grade(&INODES, &snapshot), expected, "{value}");
        }
        assert_eq!(grade(&INODES, &with(|disk| disk.inodes_used_percent = None)), None);
    }

    #[test]
    fn read_only_is_reported_for_written_mounts_only() {
        for (mount, filesystem, expected) in [
            ("/", "ext4", Some(Warning)),
            ("/var", "xfs", Some(Warning)),
            ("/var/lib/postgresql", "ext4", None),
            ("/home", "btrfs", Some(Warning)),
            ("/usr", "ext4", None),
            ("/boot", "ext4", None),
            ("/variable", "ext4", None),
            ("/srv/mirror", "ext4", None),
            ("/var", "iso9660", None),
            ("/", "squashfs", None),
            ("/", "overlay", None),
        ] {
            let mounted = |read_only| {
                with(|disk| {
                    (disk.mount, disk.filesystem, disk.read_only) =
                        (mount.into(), filesystem.into(), read_only);
                })
            };
            assert_eq!(grade(&DISK_READ_ONLY, &mounted(true)), expected, "{mount} {filesystem}");
            assert_eq!(grade(&DISK_READ_ONLY, &mounted(false)), None, "{mount} {filesystem}");
        }
    }

    #[test]
    fn file_system_closed_by_the_kernel_is_critical_anywhere() {
        for (mount, filesystem) in [("/srv/data", "ext4"), ("/", "btrfs"), ("/media/stick", "vfat")] {
            let closed = with(|disk| {
                (disk.mount, disk.filesystem, disk.read_only, disk.failed) =
                    (mount.into(), filesystem.into(), true, Some(true));
            });
            assert_eq!(grade(&DISK_READ_ONLY, &closed), Some(Critical), "{mount}");
        }
    }

    #[test]
    fn many_full_disks_are_five_findings() {
        let mut snapshot = healthy();
        let disk = host(&mut snapshot).disks[0].clone();
        host(&mut snapshot).disks = (0..50)
            .map(|n| DiskMetrics {
                mount: format!("/d{n}"),
                used_percent: 86.0 + f64::from(n) / 5.0,
                ..disk.clone()
            })
            .collect();
        let found = (DISK_SPACE.check)(&Facts::new(&snapshot, &Trends::default()));
        let ids: Vec<&str> = found.iter().map(|found| found.finding.id.as_str()).collect();
        assert_eq!(
            ids,
            ["/d49", "/d48", "/d47", "/d46"]
                .map(|d| format!("disk_space:{d}"))
                .into_iter()
                .chain(["disk_space:more".to_owned()])
                .collect::<Vec<_>>()
        );
        assert_eq!(found[4].finding.summary, "There are 46 more file systems that are short of space.");
    }

    #[test]
    fn unsafe_mount_point_stays_out_of_commands() {
        let snapshot = with(|disk| (disk.used_percent, disk.mount) = (99.0, "/a b;reboot".into()));
        let found = (DISK_SPACE.check)(&Facts::new(&snapshot, &Trends::default()));
        assert_eq!(found[0].finding.resource, "disk /a b_reboot");
        assert!(found[0].finding.remedies.iter().all(|remedy| remedy.command.is_none()));
    }
}
