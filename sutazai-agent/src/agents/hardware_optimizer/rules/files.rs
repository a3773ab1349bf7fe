//! Rules of open files: of the whole machine and of single processes.

use super::bounds::{self, Bounds};
use super::draft::{Draft, Found};
use super::figures::percent;
use super::names::clean_name;
use super::rule::{Facts, Rest, Rule};

/// Open files in percent of the limit; customary bounds of monitoring checks.
const OPEN: Bounds = Bounds::new(80.0, 95.0);

/// The machine has nearly as many files open as the kernel allows.
pub(super) const OPEN_FILES_MACHINE: Rule = Rule {
    name: "open_files_machine",
    meaning: "The machine has nearly as many files open as the kernel allows, and soon no program can open more.",
    check: |facts| Vec::from_iter(machine(facts)),
};

/// A process has nearly as many files open as it may.
pub(super) const OPEN_FILES_PROCESS: Rule = Rule {
    name: "open_files_process",
    meaning: "A process has nearly as many files and connections open as it may have.",
    check: processes,
};

fn machine(facts: &Facts<'_>) -> Option<Found> {
    let files = facts.snapshot.host.value()?.files.as_ref()?;
    let (open, limit) = (files.open as f64, files.limit as f64);
    let share = bounds::percent(open, limit);
    let (severity, bound) = OPEN.grade(share)?;
    let draft = Draft::new(&OPEN_FILES_MACHINE, severity, "open files")
        .judged("host.files.open_percent", share, "percent", bound)
        .context("host.files.open", open, "count")
        .context("host.files.limit", limit, "count")
        .command("See how many files are open and the limit.", "cat /proc/sys/fs/file-nr")
        .advice("Find the program that opens so many, or raise the limit of the kernel.");
    Some(draft.says(format!(
        "The machine has {open} of {limit} files open, {} of what the kernel allows.",
        percent(share)
    )))
}

fn processes(facts: &Facts<'_>) -> Vec<Found> {
    let top = facts.snapshot.host.value().into_iter().flat_map(|host| &host.processes.top);
    let judged = top.filter_map(|process| {
        let (open, limit) = (process.open_files? as f64, process.open_files_limit? as f64);
        let share = bounds::percent(open, limit);
        let (severity, bound) = OPEN.grade(share)?;
        let (name, pid) = (clean_name(&process.name), process.pid);
        let path = |figure: &str| format!("host.processes[{name}:{pid}].{figure}");
        let draft = Draft::new(&OPEN_FILES_PROCESS, severity, format!("process {name} ({pid})"))
            .about(&pid.to_string())
            .judged(path("open_files_percent"), share, "percent", bound)
            .context(path("open_files"), open, "count")
            .context(path("open_files_limit"), limit, "count")
            .command("See what the process has open.", format!("ls -l /proc/{pid}/fd | tail -n 30"))
            .command("See the limits of the process.", format!("cat /proc/{pid}/limits"))
            .advice("Raise its limit of open files or look for files it does not close.");
        Some(draft.says(format!(
            "Process {name} ({pid}) has {open} of {limit} files open, {} of what it may have.",
            percent(share)
        )))
    });
    let rest = Rest {
        metric: "host.processes",
        things: "processes",
        are: "near their limit of open files",
        text: "See how many files are open on the machine.",
        command: "cat /proc/sys/fs/file-nr",
    };
    OPEN_FILES_PROCESS.worst(judged.collect(), &rest)
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::FileMetrics;
    use sutazai_core::domain::Severity::{Critical, Warning};

    use super::super::rule::tests::grade;
    use super::super::sample::{healthy, host};
    use super::*;

    #[test]
    fn open_files_are_held_against_their_limits() {
        for (open, limit, expected) in [
            (800, 1000, None),
            (801, 1000, Some(Warning)),
            (950, 1000, Some(Warning)),
            (951, 1000, Some(Critical)),
            (5, 0, None),
        ] {
            let mut snapshot = healthy();
            host(&mut snapshot).files = Some(FileMetrics { open, limit });
            assert_eq!(grade(&OPEN_FILES_MACHINE, &snapshot), expected, "{open} of {limit}");

            let mut snapshot = healthy();
            let process = &mut host(&mut snapshot).processes.top[0];
            (process.open_files, process.open_files_limit) = (Some(open), Some(limit));
            assert_eq!(grade(&OPEN_FILES_PROCESS, &snapshot), expected, "{open} of {limit}");
            host(&mut snapshot).processes.top[0].open_files_limit = None;
            assert_eq!(grade(&OPEN_FILES_PROCESS, &snapshot), None);
        }
    }
}
