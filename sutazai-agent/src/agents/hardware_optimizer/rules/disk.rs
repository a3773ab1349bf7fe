//! Rules of file systems: space, inodes, the time until one is full, and those that can no longer be written.

use chrono::TimeDelta;
use sutazai_core::domain::{DiskMetrics, Severity};

use super::bounds::Bounds;
use super::draft::{Draft, Found};
use super::figures::{bytes, hours, percent};
use super::names::{clean_name, path_argument};
use super::rule::{Facts, Rest, Rule};

/// Used share in percent as `df` counts; 90 % is the customary bound of monitoring, so it is told a little before.
const SPACE: Bounds = Bounds::new(85.0, 95.0);
/// With so much room left a high share is less bad by one step: 5 % of a large disk may last for years.
const ROOMY: u64 = 100 << 30;
/// Used share of inodes in percent, as for space.
const INODES_BOUNDS: Bounds = Bounds::new(85.0, 95.0);
/// Hours until full: the forecasts of the node-exporter's well-known alerts (a day, four hours).
const FULL_SOON: f64 = 24.0;
const FULL_NOW: f64 = 4.0;
/// The time that those forecasts look at.
const TREND_SPAN: TimeDelta = TimeDelta::hours(6);
/// How well a straight line must fit before its end is told; our choice.
const FIT: f64 = 0.8;
/// Below that share of used space a forecast is left out: files just written are no trend to full; our choice.
const TREND_FROM_PERCENT: f64 = 50.0;
/// File systems that are made to be written.
const WRITABLE: [&str; 9] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "zfs", "bcachefs"];
/// Where programs write. Elsewhere (`/usr`, `/boot`, media, volumes of a container) read-only is often on purpose.
const WRITTEN: [&str; 8] = ["/", "/var", "/var/lib", "/var/log", "/home", "/srv", "/tmp", "/opt"];

/// A file system is nearly full.
pub(super) const DISK_SPACE: Rule = Rule {
    name: "disk_space",
    meaning: "A file system is nearly full, and programs fail when they can no longer write.",
    check: |facts| each(facts, &DISK_SPACE, "short of space", space),
};

/// A file system will be full soon if it goes on like this.
pub(super) const DISK_TREND_FULL: Rule = Rule {
    name: "disk_trend_full",
    meaning: "A file system fills up steadily and will be full soon if nothing changes.",
    check: |facts| each(facts, &DISK_TREND_FULL, "filling up", trend),
};

/// A file system runs out of inodes.
pub(super) const INODES: Rule = Rule {
    name: "inodes",
    meaning: "A file system can hold only so many files and has nearly reached that number.",
    check: |facts| each(facts, &INODES, "short of inodes", inodes),
};

/// A file system that programs write to is mounted read-only.
pub(super) const DISK_READ_ONLY: Rule = Rule {
    name: "disk_read_only",
    meaning: "A file system cannot be written, which the kernel does by itself after a disk error.",
    check: |facts| each(facts, &DISK_READ_ONLY, "mounted read-only", read_only),
};

fn each(
    facts: &Facts<'_>,
    rule: &Rule,
    are: &'static str,
    judge: fn(&Facts<'_>, &DiskMetrics) -> Option<Found>,
) -> Vec<Found> {
    let disks = facts.snapshot.host.value().into_iter().flat_map(|host| &host.disks);
    let rest = Rest {
        metric: "host.disks",
        things: "file systems",
        are,
        text: "See all file systems and how full they are.",
        command: "df -h",
    };
    rule.worst(disks.filter_map(|disk| judge(facts, disk)).collect(), &rest)
}

fn space(facts: &Facts<'_>, disk: &DiskMetrics) -> Option<Found> {
    let (severity, bound) = SPACE.grade(disk.used_percent).filter(|_| !disk.read_only)?;
    let severity = match severity {
        Severity::Critical if disk.available_bytes >= ROOMY => Severity::Warning,
        _ if disk.available_bytes >= ROOMY => Severity::Info,
        severity => severity,
    };
    let draft = on(&DISK_SPACE, severity, disk)
        .judged(path(disk, "used_percent"), disk.used_percent, "percent", bound)
        .since(facts.trends.over_since(&format!("host.disks[{}].used_percent", disk.mount), bound))
        .context(path(disk, "available_bytes"), disk.available_bytes as f64, "bytes")
        .context(path(disk, "total_bytes"), disk.total_bytes as f64, "bytes")
        .command_if("See which folders take the most space.", largest_folders(disk))
        .advice("Move or remove what is not needed, or make the file system larger.");
    Some(draft.says(format!(
        "{} is {} full, with {} of {} left.",
        title(disk),
        percent(disk.used_percent),
        bytes(disk.available_bytes as f64),
        bytes(disk.total_bytes as f64),
    )))
}

fn trend(facts: &Facts<'_>, disk: &DiskMetrics) -> Option<Found> {
    let growth = facts.trends.growth(&format!("host.disks[{}].used_bytes", disk.mount), TREND_SPAN)?;
    if disk.read_only || growth.per_hour <= 0.0 || growth.fit < FIT || disk.used_percent <= TREND_FROM_PERCENT
    {
        return None;
    }
    let left = disk.available_bytes as f64 / growth.per_hour;
    let (severity, bound) = match left {
        left if left < FULL_NOW => (Severity::Critical, FULL_NOW),
        left if left < FULL_SOON => (Severity::Warning, FULL_SOON),
        _ => return None,
    };
    let draft = on(&DISK_TREND_FULL, severity, disk)
        .judged(path(disk, "hours_until_full"), left, "hours", bound)
        .context(path(disk, "growth_per_hour"), growth.per_hour, "bytes")
        .context(path(disk, "used_percent"), disk.used_percent, "percent")
        .command_if("See which folders take the most space.", largest_folders(disk))
        .command_if("Find the files that were written lately.", lately_written(disk))
        .advice("Stop or limit what writes so much, such as a log that is not rotated.");
    Some(draft.says(format!(
        "{} grows by {} an hour and will be full in about {}.",
        title(disk),
        bytes(growth.per_hour),
        hours(left),
    )))
}

fn inodes(facts: &Facts<'_>, disk: &DiskMetrics) -> Option<Found> {
    let used = disk.inodes_used_percent.filter(|_| !disk.read_only)?;
    let (severity, bound) = INODES_BOUNDS.grade(used)?;
    let series = format!("host.disks[{}].inodes_used_percent", disk.mount);
    let draft = on(&INODES, severity, disk)
        .judged(path(disk, "inodes_used_percent"), used, "percent", bound)
        .since(facts.trends.over_since(&series, bound))
        .command("See the inodes of each file system.", "df -i")
        .command_if("See which folders hold the most files.", most_files(disk))
        .advice("Remove small files that are not needed, such as old sessions and caches.");
    Some(draft.says(format!(
        "{} has {} of its inodes in use and will soon refuse new files.",
        title(disk),
        percent(used)
    )))
}

fn read_only(_: &Facts<'_>, disk: &DiskMetrics) -> Option<Found> {
    let written = WRITTEN.contains(&disk.mount.as_str());
    if !disk.read_only || !written || !WRITABLE.contains(&disk.filesystem.as_str()) {
        return None;
    }
    let draft = on(&DISK_READ_ONLY, Severity::Warning, disk)
        .judged(path(disk, "read_only"), 1.0, "flag", 0.0)
        .command("Read what the kernel said about its disks.", "journalctl -k -p warning | tail -n 50")
        .command("See how each file system is mounted.", "findmnt --real")
        .advice("Check the disk before mounting the file system for writing again.");
    Some(draft.says(format!(
        "{} is mounted read-only, which may be on purpose or follow a disk error.",
        title(disk)
    )))
}

fn on(rule: &Rule, severity: Severity, disk: &DiskMetrics) -> Draft {
    let mount = clean_name(&disk.mount);
    Draft::new(rule, severity, format!("disk {mount}")).about(&mount)
}

fn title(disk: &DiskMetrics) -> String {
    format!("Disk {}", clean_name(&disk.mount))
}

fn path(disk: &DiskMetrics, figure: &str) -> String {
    format!("host.disks[{}].{figure}", clean_name(&disk.mount))
}

fn largest_folders(disk: &DiskMetrics) -> Option<String> {
    path_argument(&disk.mount).map(|mount| format!("du -xh --max-depth=2 {mount} | sort -h | tail"))
}

fn lately_written(disk: &DiskMetrics) -> Option<String> {
    path_argument(&disk.mount).map(|mount| format!("find {mount} -xdev -type f -mmin -60 -size +10M"))
}

fn most_files(disk: &DiskMetrics) -> Option<String> {
    path_argument(&disk.mount).map(|mount| format!("du -x --inodes --max-depth=2 {mount} | sort -n | tail"))
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Info, Warning};
    use sutazai_core::domain::Snapshot;

    use super::super::rule::tests::{grade, grade_with};
    use super::super::sample::{around, healthy, host};
    use super::super::trends::Trends;
    use super::super::trends::tests::trends;
    use super::*;

    fn with(change: impl Fn(&mut DiskMetrics)) -> Snapshot {
        let mut snapshot = healthy();
        change(&mut host(&mut snapshot).disks[0]);
        snapshot
    }

    #[test]
    fn space_has_its_bounds_and_room_softens_them() {
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
    fn inodes_have_their_bounds() {
        for (value, expected) in around(85.0, 95.0) {
            let snapshot = with(|disk| disk.inodes_used_percent = Some(value));
            assert_eq!(grade(&INODES, &snapshot), expected, "{value}");
        }
        assert_eq!(grade(&INODES, &with(|disk| disk.inodes_used_percent = None)), None);
    }

    #[tokio::test]
    async fn a_steady_rise_is_told_in_hours() {
        const MIB: f64 = 1_048_576.0;
        // An hour of steady growth by 12 MiB each five minutes: 144 MiB an hour.
        let rising: Vec<f64> = (0..13).map(|n| 1e9 + f64::from(n) * 12.0 * MIB).collect();
        for (hours_left, expected) in
            [(24.0, None), (23.9, Some(Warning)), (4.0, Some(Warning)), (3.9, Some(Critical))]
        {
            let snapshot = with(|disk| {
                disk.used_percent = 60.0;
                disk.available_bytes = (hours_left * 144.0 * MIB).round() as u64;
            });
            let history = trends(&snapshot, "host.disks[/].used_bytes", &rising).await;
            assert_eq!(grade_with(&DISK_TREND_FULL, &snapshot, &history), expected, "{hours_left}");
            let none = Trends::default();
            assert_eq!(grade_with(&DISK_TREND_FULL, &snapshot, &none), None, "no history");
            let saw: Vec<f64> = (0..13).map(|n| 1e9 + f64::from(n % 3) * 40.0 * MIB).collect();
            let history = trends(&snapshot, "host.disks[/].used_bytes", &saw).await;
            assert_eq!(grade_with(&DISK_TREND_FULL, &snapshot, &history), None, "no straight line");
        }
        // A line with a saw upon it: it fits with 0.8045 and 0.796.
        for (saw, expected) in [(1.85, Some(Critical)), (1.90, None)] {
            let snapshot = with(|disk| (disk.used_percent, disk.available_bytes) = (60.0, 1 << 20));
            let tooth = |n: u32| if n.is_multiple_of(2) { saw } else { -saw };
            let uneven: Vec<f64> = (0..13).map(|n| 1e9 + (f64::from(n) + tooth(n)) * MIB).collect();
            let history = trends(&snapshot, "host.disks[/].used_bytes", &uneven).await;
            assert_eq!(grade_with(&DISK_TREND_FULL, &snapshot, &history), expected, "{saw}");
        }
        for (used, expected) in [(50.0, None), (50.1, Some(Critical))] {
            let snapshot = with(|disk| (disk.used_percent, disk.available_bytes) = (used, 1 << 20));
            let history = trends(&snapshot, "host.disks[/].used_bytes", &rising).await;
            assert_eq!(grade_with(&DISK_TREND_FULL, &snapshot, &history), expected, "{used}");
        }
    }

    #[test]
    fn read_only_counts_where_programs_write() {
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
        let found = (DISK_SPACE.check)(&Facts { snapshot: &snapshot, trends: &Trends::default() });
        let ids: Vec<&str> = found.iter().map(|found| found.finding.id.as_str()).collect();
        assert_eq!(
            ids,
            ["/d49", "/d48", "/d47", "/d46"]
                .map(|d| format!("disk_space:{d}"))
                .into_iter()
                .chain(["disk_space:more".to_owned()])
                .collect::<Vec<_>>()
        );
        assert_eq!(found[4].finding.summary, "46 more file systems are short of space.");
    }

    #[test]
    fn a_mount_point_that_is_no_plain_path_stays_out_of_commands() {
        let snapshot = with(|disk| (disk.used_percent, disk.mount) = (99.0, "/a b;reboot".into()));
        let found = (DISK_SPACE.check)(&Facts { snapshot: &snapshot, trends: &Trends::default() });
        assert_eq!(found[0].finding.resource, "disk /a b_reboot");
        assert!(found[0].finding.remedies.iter().all(|remedy| remedy.command.is_none()));
    }
}
