//! Rule about file systems in memory, such as `/tmp` and `/dev/shm`.

use sutazai_core::domain::{DiskMetrics, Severity};

use super::bounds::Bounds;
use super::disk::{SHOW_SPACE, WRITES_FAIL, each, largest_folders, on, own_name, path, rest, title};
use super::draft::Found;
use super::figures::{bytes, percent};
use super::judged::Judged;
use super::rule::{Facts, Rule};

/// Used share in percent, as for disks.
const SPACE: Bounds = Bounds::new(85.0, 95.0);
const MEMORY_TYPES: [&str; 2] = ["tmpfs", "devtmpfs"];

/// Reports a file system in memory that is nearly full.
pub(super) const TMPFS_SPACE: Rule = Rule {
    name: "tmpfs_space",
    title: "Space of a file system in memory",
    meaning: "A file system in memory, such as `/tmp` or `/dev/shm`, is nearly full. Only those over half \
              full are measured.",
    conditions: ["", "over 85 %", "over 95 %"],
    source: "As for disks",
    judged: &[Judged::percent("host.disks[<mount>].used_percent", SPACE.levels())],
    needs: &["host.disks"],
    check: |facts| {
        each(facts, &TMPFS_SPACE, &rest("in memory and short of space", WRITES_FAIL, SHOW_SPACE), space)
    },
};

/// Returns whether the files of this file system are in memory and on no disk.
pub(in crate::agents::hardware_optimizer) fn is_in_memory(disk: &DiskMetrics) -> bool {
    MEMORY_TYPES.contains(&disk.filesystem.as_str())
}

fn space(facts: &Facts<'_>, disk: &DiskMetrics) -> Option<Found> {
    if disk.read_only || !is_in_memory(disk) {
        return None;
    }
    facts.look();
    let (severity, bound) = SPACE.grade(disk.used_percent)?;
    let (used, left, total) =
        (percent(disk.used_percent), bytes(disk.available_bytes as f64), bytes(disk.total_bytes as f64));
    let (title, own) = (title(disk), own_name(disk));
    let (state, now) = match severity {
        Severity::Critical => {
            ("is nearly full", "Programs [fail|stop working] when they cannot write there.")
        }
        _ => ("has little space left", WRITES_FAIL),
    };
    let found = on(&TMPFS_SPACE, severity, disk)
        .judged(path(disk, "used_percent"), disk.used_percent, "percent", bound)
        .since(facts.trends.over_since(&format!("host.disks[{}].used_percent", disk.mount), bound))
        .context(path(disk, "available_bytes"), disk.available_bytes as f64, "bytes")
        .context(path(disk, "total_bytes"), disk.total_bytes as f64, "bytes")
        .statements([
            format!("{title} is a file system in memory and {used} full, with {left} of {total} left."),
            format!("On {own}, whose files are in memory, {used} of the space is used and {left} is left."),
        ])
        .consequences(&[
            now,
            "Its files take memory until they are removed, even if no program uses them.",
            "Programs that share memory with each other, such as databases and browsers, need space there.",
        ])
        .command_if(
            "See which folders take the most space.",
            largest_folders(disk),
            "Run {command} to see which folders take the most space, and look there for files of programs that ended.",
        )
        .command(SHOW_SPACE[0], SHOW_SPACE[1], SHOW_SPACE[2])
        .remedy("Remove files that no program needs any more, or write large files to a disk instead.")
        .advice("If all files are needed, mount it with a larger size, as long as the machine has enough memory.")
        .advice("For a container, set a larger size of the shared memory when it is started.")
        .finish(format!("{own} {state}"));
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::super::disk::{DISK_SPACE, tests::with};
    use super::super::rule::tests::grade;
    use super::super::sample::around;
    use super::*;

    #[test]
    fn space_in_memory_is_graded_apart_from_disks() {
        for (value, expected) in around(85.0, 95.0) {
            let full = with(|disk| (disk.used_percent, disk.filesystem) = (value, "tmpfs".into()));
            assert_eq!(grade(&TMPFS_SPACE, &full), expected, "{value}");
            assert_eq!(grade(&DISK_SPACE, &full), None, "{value}");
            let image = with(|disk| {
                (disk.used_percent, disk.filesystem, disk.read_only) = (value, "tmpfs".into(), true);
            });
            assert_eq!(grade(&TMPFS_SPACE, &image), None, "{value}");
            assert_eq!(grade(&TMPFS_SPACE, &with(|disk| disk.used_percent = value)), None, "{value}");
        }
    }
}
