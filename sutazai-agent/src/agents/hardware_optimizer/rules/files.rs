//! Rules about open files: of the whole machine and of single processes.

use sutazai_core::domain::ProcessInfo;

use super::bounds::{self, Bounds};
use super::draft::{Draft, Found};
use super::figures::percent;
use super::judged::Judged;
use super::names::clean_name;
use super::rule::{Facts, Rest, Rule};

/// Open files in percent of the limit; usual thresholds of monitoring checks.
const OPEN: Bounds = Bounds::new(80.0, 95.0);

const AT_LIMIT: &str = "A process that reaches its limit can no longer open files or accept connections.";

/// Reports a machine that is near the kernel's limit of open files.
pub(super) const OPEN_FILES_MACHINE: Rule = Rule {
    name: "open_files_machine",
    title: "Open files of the machine",
    meaning: "`open` of `/proc/sys/fs/file-nr` against its limit.",
    conditions: ["", "over 80 %", "over 95 %"],
    source: "Customary bounds of monitoring checks",
    judged: &[Judged::percent("host.files.open_percent", OPEN.levels())],
    needs: &["host.files"],
    check: |facts| Vec::from_iter(machine(facts)),
};

/// Reports a process that is near its limit of open files.
pub(super) const OPEN_FILES_PROCESS: Rule = Rule {
    name: "open_files_process",
    title: "Open files of a process",
    meaning: "Open descriptors of a process against its own limit. Every process that can be looked into is, \
              from 16 descriptors on.",
    conditions: ["", "over 80 %", "over 95 %"],
    source: "Customary bounds of monitoring checks",
    judged: &[Judged::percent("host.processes[<process>].open_files_percent", OPEN.levels())],
    needs: &["host.processes.top.open_files_limit"],
    check: processes,
};

fn machine(facts: &Facts<'_>) -> Option<Found> {
    let files = facts.snapshot.host.value()?.files.as_ref()?;
    facts.look();
    let (open, limit) = (files.open as f64, files.limit as f64);
    let share = bounds::percent(open, limit);
    let (severity, bound) = OPEN.grade(share)?;
    let part = percent(share);
    let found = Draft::new(&OPEN_FILES_MACHINE, severity, "open files")
        .judged("host.files.open_percent", share, "percent", bound)
        .context("host.files.open", open, "count")
        .context("host.files.limit", limit, "count")
        .statements([
            format!("The machine has {open} of {limit} files open, which is {part} of what the kernel allows."),
            format!("The number of open files is at {part} of the kernel limit of {limit}."),
            format!("With {open} open files, the machine has reached {part} of the kernel limit."),
        ])
        .consequences(&[
            "When the limit is reached, programs can no longer open files or connections.",
            "Services then refuse connections although they are running.",
            "A program that never closes its files is a common cause.",
        ])
        .command(
            "See how many files are open and the limit.",
            "cat /proc/sys/fs/file-nr",
            "Run {command} now and again later: the first number shows the open files, the last one the limit.",
        )
        .remedy("Find the program that holds the most open files, and check whether it closes them.")
        .advice("Raise the kernel limit (fs.file-max) if all of these files are needed.")
        .finish("the machine is near its limit of open files");
    Some(found)
}

fn processes(facts: &Facts<'_>) -> Vec<Found> {
    let top = facts
        .snapshot
        .host
        .value()
        .into_iter()
        .flat_map(|host| &host.processes)
        .flat_map(|processes| &processes.top);
    let rest = Rest {
        metric: "host.processes",
        things: "processes",
        are: "near their limit of open files",
        consequence: AT_LIMIT,
        text: "See how many files are open on the machine.",
        command: "cat /proc/sys/fs/file-nr",
        advice: "Run {command} to see how many files are open on the whole machine.",
    };
    OPEN_FILES_PROCESS.worst(top.filter_map(|process| process_files(facts, process)).collect(), &rest)
}

fn process_files(facts: &Facts<'_>, process: &ProcessInfo) -> Option<Found> {
    let (open, limit) = (process.open_files? as f64, process.open_files_limit? as f64);
    facts.look();
    let share = bounds::percent(open, limit);
    let (severity, bound) = OPEN.grade(share)?;
    let (name, pid, part) = (clean_name(&process.name), process.pid, percent(share));
    let path = |figure: &str| format!("host.processes[{name}:{pid}].{figure}");
    let found = Draft::new(&OPEN_FILES_PROCESS, severity, format!("process {name} ({pid})"))
        .about(&pid.to_string())
        .judged(path("open_files_percent"), share, "percent", bound)
        .context(path("open_files"), open, "count")
        .context(path("open_files_limit"), limit, "count")
        .statements([
            format!("Process {name} ({pid}) has {open} of {limit} files open, which is {part} of its limit."),
            format!("Process {name} ({pid}) has reached {part} of its limit of {limit} open files."),
            format!("With {open} open files, process {name} ({pid}) is at {part} of its limit."),
        ])
        .consequences(&[
            AT_LIMIT,
            "Connections count as open files, so a busy server can reach the limit.",
            "A number that rises while the work stays the same points to files that are never closed.",
        ])
        .command(
            "See what the process has open.",
            format!("ls -l /proc/{pid}/fd | tail -n 30"),
            "Run {command} to see which files and connections the process has open.",
        )
        .command(
            "See the limits of the process.",
            format!("cat /proc/{pid}/limits"),
            "Run {command} and compare the soft and the hard limit in the line Max open files.",
        )
        .remedy("Raise its limit of open files, or look for files that it does not close.")
        .advice("For a systemd service, raise LimitNOFILE and plan a restart of the service.")
        .finish(format!("process {name} ({pid}) is near its limit of open files"));
    Some(found)
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::FileMetrics;
    use sutazai_core::domain::Severity::{Critical, Warning};

    use super::super::rule::tests::grade;
    use super::super::sample::{healthy, host};
    use super::*;

    #[test]
    fn open_files_are_compared_with_their_limits() {
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
            let process = &mut host(&mut snapshot).processes.as_mut().unwrap().top[0];
            (process.open_files, process.open_files_limit) = (Some(open), Some(limit));
            assert_eq!(grade(&OPEN_FILES_PROCESS, &snapshot), expected, "{open} of {limit}");
            host(&mut snapshot).processes.as_mut().unwrap().top[0].open_files_limit = None;
            assert_eq!(grade(&OPEN_FILES_PROCESS, &snapshot), None);
        }
    }
}
