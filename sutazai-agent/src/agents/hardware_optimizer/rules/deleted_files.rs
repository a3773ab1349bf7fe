//! Rule about deleted files that are still open.

use sutazai_core::domain::DiskMetrics;

use super::bounds::{self, Bounds};
use super::disk::{SHOW_SPACE, each, on, own_name, path, rest, title};
use super::draft::Found;
use super::figures::{bytes, count, percent};
use super::judged::Judged;
use super::names::clean_name;
use super::rule::{Facts, Rule};

/// Share of the file system in percent that deleted files hold. Programs often delete temporary files while they use
/// them, so a little is normal. Our choice.
const HELD: Bounds = Bounds::mild(10.0, 25.0);

const NOT_FREED: &str = "The space is freed only when the process closes the files or ends.";

/// Reports deleted files that take much space because processes keep them open.
pub(super) const DELETED_FILES: Rule = Rule {
    name: "deleted_files",
    title: "Deleted files still open",
    meaning: "Deleted files that processes still have open hold a share of the file system, which no folder \
              shows. The process that holds most is named. Without root only the user's own processes are \
              seen.",
    conditions: ["over 10 %", "over 25 %", ""],
    source: "Temporary files are often deleted while they are in use; ours",
    judged: &[Judged::percent("host.disks[<mount>].deleted_files.percent", HELD.levels())],
    needs: &["host.disks.deleted_files"],
    check: |facts| {
        each(facts, &DELETED_FILES, &rest("holding space of deleted files", NOT_FREED, SHOW_SPACE), held)
    },
};

fn held(facts: &Facts<'_>, disk: &DiskMetrics) -> Option<Found> {
    // A disk without such files has no figure either.
    if facts.can_run(&DELETED_FILES) {
        facts.look();
    }
    let deleted = disk.deleted_files.as_ref()?;
    let share = bounds::percent(deleted.bytes as f64, disk.total_bytes as f64);
    let (severity, bound) = HELD.grade(share)?;
    let (own, title, pid) = (own_name(disk), title(disk), deleted.pid);
    let (held, part, process) = (bytes(deleted.bytes as f64), percent(share), clean_name(&deleted.process));
    let files = count(
        deleted.files,
        "deleted file that is still open holds",
        "deleted files that are still open hold",
    );
    let figure = |name: &str| path(disk, &format!("deleted_files.{name}"));
    let found = on(&DELETED_FILES, severity, disk)
        .judged(figure("percent"), share, "percent", bound)
        .context(figure("bytes"), deleted.bytes as f64, "bytes")
        .context(figure("files"), deleted.files as f64, "count")
        .context(figure("pid"), f64::from(pid), "pid")
        .statements([
            format!("On {own}, {files} {held} ({part}), most of it for process {process} ({pid})."),
            format!("{title} has {held} ({part}) in deleted files that process {process} ({pid}) and others keep open."),
        ])
        .consequences(&[
            NOT_FREED,
            "No folder shows these files, so the used space cannot be explained by looking for large files.",
            "A log file that was deleted instead of rotated is the usual cause.",
        ])
        .command(
            "See which deleted files the process has open.",
            format!("ls -l /proc/{pid}/fd | grep deleted"),
            "Run {command} to see which deleted files the process has open.",
        )
        .command(SHOW_SPACE[0], SHOW_SPACE[1], SHOW_SPACE[2])
        .remedy("Restart the process at a quiet time, or have it reopen its log files.")
        .advice("Check that log files are rotated in a way that the program notices.")
        .finish(format!("deleted files hold space on {own}"));
    Some(found)
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::DeletedFiles;
    use sutazai_core::domain::Severity::{Info, Warning};

    use super::super::disk::tests::with;
    use super::super::rule::tests::grade;
    use super::*;

    #[test]
    fn deleted_files_are_graded_as_a_share_of_the_file_system() {
        for (bytes, total, expected) in [
            (100, 1000, None),
            (101, 1000, Some(Info)),
            (250, 1000, Some(Info)),
            (251, 1000, Some(Warning)),
            (5, 0, None),
        ] {
            let snapshot = with(|disk| {
                disk.total_bytes = total;
                let process = "nginx".to_owned();
                disk.deleted_files =
                    Some(DeletedFiles { bytes, files: 2, pid: 7, process, process_bytes: bytes });
            });
            assert_eq!(grade(&DELETED_FILES, &snapshot), expected, "{bytes} of {total}");
        }
    }
}
