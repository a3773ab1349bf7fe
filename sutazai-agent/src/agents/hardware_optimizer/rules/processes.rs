//! Rules about processes: zombies, blocked ones, growing ones, and those that use most of the machine.

use chrono::TimeDelta;
use sutazai_core::domain::{HostMetrics, ProcessInfo, Severity};

use super::bounds::{self, Bounds};
use super::draft::{Draft, Found};
use super::figures::{bytes, hours, percent};
use super::forecast;
use super::judged::{Judged, Levels};
use super::memory::LARGEST;
use super::names::clean_name;
use super::rule::{Facts, Rest, Rule};
use super::sustained;
use super::trends::Growth;

/// Number of zombie processes that last: a few come and go, many point to a fault of their parent. Our choice.
const ZOMBIES_BOUNDS: Bounds = Bounds::mild(10.0, 100.0);
/// Number of processes in state D at each reading: a few are normal while disks work. Our choice.
const BLOCKED: Bounds = Bounds::new(5.0, 20.0);
/// Minimum growth of a process in bytes, and as a share of its first value, over the time that history covers. Our
/// choice.
const GROWN_BYTES: f64 = 64.0 * 1024.0 * 1024.0;
const GROWN_SHARE: f64 = 0.2;
/// Period of history that is searched for growth.
const SPAN: TimeDelta = TimeDelta::hours(24);
/// Minimum share of steps that must not fall, so that fluctuating use is not taken for growth.
const NOT_FALLING: f64 = 0.95;
/// Hours of history from which growth is reported whatever memory is left.
const LONG_HOURS: f64 = 1.0;
/// Hours of history below which growth is reported only if memory will be used up soon.
const SOME_HOURS: f64 = 2.0 / 60.0;
/// Hours until the memory is used up, at the current rate, below which long growth is critical (as for disks) and
/// growth over minutes or seconds is reported at all.
const EXHAUSTED_HOURS: f64 = 4.0;
/// Hours until the memory is used up below which growth over minutes is critical and growth over seconds a warning; our
/// choice.
const EXHAUSTED_SOON_HOURS: f64 = 0.25;
/// Minimum fit of a straight line to growth over less than hours; our choice.
const STEADY_FIT: f64 = 0.8;
/// Age in seconds below which a program may still be starting.
const YOUNG_SECONDS: u64 = 60;
/// Share of the machine's memory or processors, in percent, from which a single process is reported.
const HOG: f64 = 50.0;
/// Share of all processors in percent. A busy processor is what was paid for, so no share is more than informational.
const HOG_CPU: Bounds = Bounds::mild(HOG, f64::INFINITY);

const KEEPS_GROWING: &str = "If the growth continues, it takes the memory that other programs need.";
const LITTLE_MEMORY: &str = "If it grows further, little memory is left for other programs.";
const LITTLE_TIME: &str = "Other programs get less processor time while it runs like this.";

/// Reports many ended processes that their parents have not collected.
pub(super) const ZOMBIES: Rule = Rule {
    name: "zombies",
    title: "Zombie processes",
    meaning: "Zombies: processes ended and their parents have not collected them. Only those count that the \
              last three readings show, or the last two, because a zombie exists for a moment after each \
              process. The parent with most of them is named.",
    conditions: ["over 10, also at the only reading", "over 100", ""],
    source: "A few come and go; ours",
    judged: &[
        Judged::above("host.processes.lasting_zombies", "count", ZOMBIES_BOUNDS.levels()),
        Judged::above("host.processes.zombies", "count", ZOMBIES_BOUNDS.levels()),
    ],
    needs: &["host.processes.zombies"],
    check: |facts| Vec::from_iter(zombies(facts)),
};

/// Reports many processes that wait in the kernel and cannot be interrupted.
pub(super) const BLOCKED_PROCESSES: Rule = Rule {
    name: "blocked_processes",
    title: "Blocked processes",
    meaning: "Many processes are in state D, in the kernel, mostly for a disk or a network file system. Seen \
              at two readings or more. Those of frozen control groups, and stopped ones, are not blocked.",
    conditions: ["over 5 at the only reading", "over 5", "over 20, and for a second or more"],
    source: "A few are normal while disks work; ours",
    judged: &[Judged::above("host.processes.blocked", "count", BLOCKED.levels_from_info())],
    needs: &["host.processes.blocked"],
    check: |facts| Vec::from_iter(blocked(facts)),
};

/// Reports a process whose memory keeps growing.
pub(super) const PROCESS_GROWS: Rule = Rule {
    name: "process_grows",
    title: "Process that keeps growing",
    meaning: "Memory of one process that only rises, mapped files left out. After an hour of history: by \
              over 64 MiB and over a fifth within the last day, with at most one step in twenty that falls. \
              After two minutes: the same amounts on a straight line (R² of 0.8), if at this rate the memory \
              left lasts for less than 4 hours. After less: a straight line and that end.",
    conditions: [
        "after less than two minutes",
        "after an hour; after two minutes; after less, if the memory left lasts for less than 15 minutes and \
         the process is a minute old",
        "after an hour, if the memory left lasts for less than 4 hours; after two minutes, for less than 15 \
         minutes",
    ],
    source: "Ours",
    judged: &[
        Judged::above("host.processes[<process>].memory_growth", "bytes", Levels::NONE.warning(GROWN_BYTES)),
        Judged::below(
            "host.processes[<process>].hours_until_exhausted",
            "hours",
            Levels::NONE.info(EXHAUSTED_HOURS).warning(EXHAUSTED_HOURS).critical(EXHAUSTED_HOURS),
        ),
    ],
    needs: &["host.processes"],
    check: |facts| each(facts, &PROCESS_GROWS, "growing steadily", KEEPS_GROWING, grows),
};

/// Reports a process that holds most of the memory.
pub(super) const PROCESS_HOGS_MEMORY: Rule = Rule {
    name: "process_hogs_memory",
    title: "Process holding most memory",
    meaning: "One process holds most of the memory.",
    conditions: ["over 50 %", "", ""],
    source: "Ours",
    judged: &[Judged::percent("host.processes[<process>].memory_percent", Levels::NONE.info(HOG))],
    needs: &["host.processes", "host.memory.total_bytes"],
    check: |facts| each(facts, &PROCESS_HOGS_MEMORY, "holding much memory", LITTLE_MEMORY, hogs_memory),
};

/// Reports a process that uses most of the processor time.
pub(super) const PROCESS_HOGS_CPU: Rule = Rule {
    name: "process_hogs_cpu",
    title: "Process using most processor time",
    meaning: "One process uses most of all processors. Seen at two readings or more.",
    conditions: ["over 50 %, also at the only reading", "", ""],
    source: "Ours",
    judged: &[Judged::percent("host.processes[<process>].machine_percent", Levels::NONE.info(HOG))],
    needs: &["host.processes"],
    check: |facts| each(facts, &PROCESS_HOGS_CPU, "using much processor time", LITTLE_TIME, hogs_cpu),
};

type Judge = fn(&Facts<'_>, &HostMetrics, &ProcessInfo) -> Option<Found>;

fn each(
    facts: &Facts<'_>,
    rule: &Rule,
    are: &'static str,
    consequence: &'static str,
    judge: Judge,
) -> Vec<Found> {
    let Some(host) = host(facts) else { return Vec::new() };
    let top = host.processes.iter().flat_map(|processes| &processes.top);
    let found = top.filter_map(|process| judge(facts, host, process));
    let rest = Rest {
        metric: "host.processes",
        things: "processes",
        are,
        consequence,
        text: LARGEST.0,
        command: LARGEST.1,
        advice: "Run {command} to see which processes hold the most memory.",
    };
    rule.worst(found.collect(), &rest)
}

fn host<'a>(facts: &Facts<'a>) -> Option<&'a HostMetrics> {
    facts.snapshot.host.value().map(Box::as_ref)
}

fn zombies(facts: &Facts<'_>) -> Option<Found> {
    let processes = host(facts)?.processes.as_ref()?;
    let (counted, lasting) = (processes.zombies?, processes.lasting_zombies);
    let zombies = lasting.unwrap_or(counted);
    facts.look();
    let (severity, bound) = ZOMBIES_BOUNDS.grade(f64::from(zombies))?;
    // Without an earlier reading, their parents may be about to collect them.
    let severity = if lasting.is_some() { severity } else { Severity::Info };
    let draft = Draft::new(&ZOMBIES, severity, "processes");
    let mut draft = match lasting {
        Some(lasting) => draft
            .judged("host.processes.lasting_zombies", f64::from(lasting), "count", bound)
            .context("host.processes.zombies", f64::from(counted), "count"),
        None => draft.judged("host.processes.zombies", f64::from(counted), "count", bound),
    };
    draft = match processes.zombie_parents.first() {
        _ if lasting.is_none() => draft
            .statements([
                format!("At the only reading, the machine had {zombies} zombie processes."),
                format!("By a single reading, there are {zombies} ended processes whose parents have not collected them."),
            ]),
        Some(parent) => {
            let (name, pid) = (clean_name(&parent.name), parent.pid);
            let (figure, own) = match parent.lasting_zombies {
                Some(lasting) => ("lasting_zombies", lasting),
                None => ("zombies", parent.zombies),
            };
            draft
                .context(format!("host.processes.zombie_parents[{name}:{pid}].{figure}"), f64::from(own), "count")
                .context(format!("host.processes.zombie_parents[{name}:{pid}].pid"), f64::from(pid), "id")
                .statements([
                    format!("The machine has {zombies} zombie processes; {own} of them are left by process {name} ({pid})."),
                    format!("Process {name} ({pid}) has not collected {own} of the {zombies} zombie processes."),
                ])
                .command(
                    "See the parent that has most of the zombies.",
                    format!("ps -o pid,ppid,stat,etime,args -p {pid}"),
                    "Run {command} to see which program the parent of most zombies is.",
                )
        }
        None => draft.statements([
            format!("The machine has {zombies} zombie processes, which ended but were not collected by their parents."),
            format!("There are {zombies} ended processes whose parents have not collected them."),
        ]),
    };
    draft = draft.consequences(&[
        "Zombies use hardly any memory, but each of them keeps a process number.",
        "When all process numbers are taken, no new process can start.",
        "Zombies show that a program does not handle the end of its child processes.",
    ]);
    if lasting.is_none() {
        draft = draft.consequences(&[sustained::ONCE]);
    }
    let found = draft
        .command(
            "Find the parents of the zombie processes.",
            "ps -eo state,ppid,pid,comm | grep ^Z | sort -k 2",
            "Run {command} and read the second column, which shows the parents of the zombies.",
        )
        .remedy(
            "Repair or restart the parent at a quiet time, because zombies disappear when their parent ends.",
        )
        .advice("If the parent runs in a container, start that container with an init process.")
        .finish("zombie processes are left behind");
    Some(found)
}

fn blocked(facts: &Facts<'_>) -> Option<Found> {
    const PATH: &str = "host.processes.blocked";
    let blocked = host(facts)?.processes.as_ref()?.blocked?;
    let readings = facts.readings(PATH, f64::from(blocked));
    let seen = sustained::judge(facts, BLOCKED, &readings, 0.0)?;
    let draft = Draft::new(&BLOCKED_PROCESSES, seen.severity, "processes").judged(
        PATH,
        f64::from(blocked),
        "count",
        seen.bound,
    );
    let draft = seen.context(draft, "host.processes");
    let draft = if seen.is_single() {
        draft.statements([
            format!("At the only reading, {blocked} processes were blocked in the kernel (state D)."),
            format!("By a single reading, the kernel keeps {blocked} processes in uninterruptible sleep."),
        ])
    } else {
        draft.statements([
            format!("At the moment, {blocked} processes are blocked in the kernel (state D)."),
            format!("The kernel keeps {blocked} processes in uninterruptible sleep."),
            format!(
                "There are {blocked} processes that cannot continue until the kernel has served a request."
            ),
        ])
    };
    let draft = draft.consequences(&[
        "Such processes mostly wait for a slow disk or for a network file system that does not answer.",
        "Blocked processes cannot be stopped until their request is finished.",
        "Blocked processes raise the load although they use no processor time.",
    ]);
    let found = seen
        .consequence(draft)
        .command(
            "See what the processes wait for.",
            "ps -eo state,pid,wchan,comm | grep ^D",
            "Run {command} to see which processes are blocked, and read in the third column what they wait for.",
        )
        .command(
            "Read what the kernel reported about its disks.",
            "journalctl -k -p warning | tail -n 50",
            "Run {command} to look for errors of disks and network file systems.",
        )
        .remedy("Check the disks and the network file systems that they use.")
        .advice("If a network file system does not answer, check its server and the connection to it.")
        .finish("many processes are blocked in the kernel");
    Some(found)
}

fn grows(facts: &Facts<'_>, host: &HostMetrics, process: &ProcessInfo) -> Option<Found> {
    let (figure, value) = match process.own_memory_bytes {
        Some(bytes) => ("own_memory_bytes", bytes),
        // Kernels before 4.5 do not report mapped files separately.
        None => ("memory_bytes", process.memory_bytes),
    };
    let series = format!("host.processes[{}:{}].{figure}", process.name, process.pid);
    // How long unknown memory lasts is unknown: then only growth over hours is reported.
    let available = host.memory.available_bytes.map_or(f64::INFINITY, |bytes| bytes as f64);
    let left = |growth: &Growth| available / growth.per_hour;
    let growth = facts.growth(&series, value as f64, SPAN, |growth| match growth.hours {
        hours if hours >= LONG_HOURS => {
            let enough = growth.last - growth.first > GROWN_BYTES.max(growth.first * GROWN_SHARE);
            enough && growth.per_hour > 0.0 && growth.not_falling >= NOT_FALLING
        }
        hours if hours >= SOME_HOURS => {
            let enough = growth.last - growth.first > GROWN_BYTES.max(growth.first * GROWN_SHARE);
            enough && growth.is_steady(STEADY_FIT) && left(growth) < EXHAUSTED_HOURS
        }
        _ => growth.is_steady(STEADY_FIT) && left(growth) < EXHAUSTED_HOURS,
    })?;
    let grown = growth.last - growth.first;
    let left = left(&growth);
    let young = process.age_seconds.is_some_and(|age| age < YOUNG_SECONDS);
    let severity = match growth.hours {
        hours if hours >= LONG_HOURS && left < EXHAUSTED_HOURS => Severity::Critical,
        hours if hours >= LONG_HOURS => Severity::Warning,
        hours if hours >= SOME_HOURS && left < EXHAUSTED_SOON_HOURS => Severity::Critical,
        hours if hours >= SOME_HOURS => Severity::Warning,
        // A program that starts or loads its data grows for seconds and then stops.
        _ if left < EXHAUSTED_SOON_HOURS && !young => Severity::Warning,
        _ => Severity::Info,
    };
    let outlook = match left {
        left if left < 1.0 => "At this rate, the available memory will be used up within the hour.",
        left if left < EXHAUSTED_HOURS => "At this rate, the available memory will be used up within hours.",
        _ => KEEPS_GROWING,
    };
    let (draft, title) = about(&PROCESS_GROWS, severity, process);
    let (more, time, now) = (bytes(grown), hours(growth.hours), bytes(process.memory_bytes as f64));
    let draft = if growth.hours >= SOME_HOURS {
        draft.judged(
            path(process, "memory_growth"),
            grown,
            "bytes",
            GROWN_BYTES.max(growth.first * GROWN_SHARE),
        )
    } else {
        draft.context(path(process, "memory_growth"), grown, "bytes")
    };
    let mut draft = draft
        .context(path(process, "memory_bytes"), process.memory_bytes as f64, "bytes")
        .context(path(process, "observed_hours"), growth.hours, "hours");
    draft = if left < EXHAUSTED_HOURS {
        let end = forecast::about(left);
        draft.judged(path(process, "hours_until_exhausted"), left, "hours", EXHAUSTED_HOURS).statements([
            format!("{title} grew by {more} in {time}; at this rate, the available memory lasts for {end}."),
            format!("{title} has grown steadily, by {more} in {time}, and could use up all memory in {end}."),
            format!("{title} holds {now} of memory after it grew by {more} in {time}."),
        ])
    } else {
        draft.statements([
            format!("{title} grew by {more} in {time} and now holds {now} of memory."),
            format!("{title} has grown steadily, by {more} in {time}."),
            format!("{title} holds {now} of memory after it grew by {more} in {time}."),
        ])
    };
    let found = draft
        .consequences(&[
            outlook,
            "A process that only grows [often|in many cases] has a memory leak.",
            "When memory runs out, the kernel may kill this process or another one.",
        ])
        .command(
            "See how much memory it holds.",
            format!("grep Rss /proc/{}/status", process.pid),
            "Run {command} now and again later to see whether the process still grows.",
        )
        .command(
            "See how its memory is divided.",
            format!("cat /proc/{}/smaps_rollup", process.pid),
            "Run {command} to see how its memory is divided; a large value of Anonymous can point to a leak.",
        )
        .remedy("Plan a restart of the service, and look for a memory leak in it.")
        .advice("Check the cache and buffer settings of the process, because a cache that fills up looks the same.")
        .advice("Set a memory limit for its service, so that other services keep the memory they need.")
        .finish(format!("{} keeps growing", name(process)));
    Some(found)
}

fn hogs_memory(facts: &Facts<'_>, host: &HostMetrics, process: &ProcessInfo) -> Option<Found> {
    let share = bounds::percent(process.memory_bytes as f64, host.memory.total_bytes? as f64);
    facts.look();
    if !share.is_finite() || share <= HOG {
        return None;
    }
    let (draft, title) = about(&PROCESS_HOGS_MEMORY, Severity::Info, process);
    let (held, part) = (bytes(process.memory_bytes as f64), percent(share));
    let found = draft
        .judged(path(process, "memory_percent"), share, "percent", HOG)
        .context(path(process, "memory_bytes"), process.memory_bytes as f64, "bytes")
        .statements([
            format!("{title} holds {held}, which is {part} of the memory of the machine."),
            format!("{title} alone holds {part} of the memory of the machine ({held})."),
            format!("{title} uses {held} of memory, {part} of what the machine has."),
        ])
        .consequences(&[
            LITTLE_MEMORY,
            "When memory runs out, the kernel is most likely to kill the largest process.",
            "For a database or a model server, this may be intended.",
        ])
        .command(LARGEST.0, LARGEST.1, "Run {command} to compare the process with the other large ones.")
        .remedy(
            "Check that the process is meant to use this much, for example in its cache or heap settings.",
        )
        .advice("Set a memory limit for its service if other programs need memory too.")
        .finish(format!("{} holds most of the memory", name(process)));
    Some(found)
}

fn hogs_cpu(facts: &Facts<'_>, host: &HostMetrics, process: &ProcessInfo) -> Option<Found> {
    let cores = f64::from(host.cpu.cores);
    let series = format!("host.processes[{}:{}].cpu_percent", process.name, process.pid);
    let mut readings = facts.readings(&series, process.cpu_percent);
    for (_, used) in &mut readings {
        *used /= cores;
    }
    let seen = sustained::judge(facts, HOG_CPU, &readings, host.cpu.interval_seconds)?;
    let share = process.cpu_percent / cores;
    let (draft, title) = about(&PROCESS_HOGS_CPU, seen.severity, process);
    let (part, of_one) = (percent(share), percent(process.cpu_percent));
    let draft = draft.judged(path(process, "machine_percent"), share, "percent", seen.bound).context(
        path(process, "cpu_percent"),
        process.cpu_percent,
        "percent",
    );
    let draft =
        seen.context(draft, &format!("host.processes[{}:{}]", clean_name(&process.name), process.pid));
    let draft = if seen.is_single() {
        draft.statements([
            format!("{title} used {part} of the processor time of the machine at the only reading."),
            format!("By a single reading, {} takes {part} of what all processors can do.", name(process)),
        ])
    } else {
        draft.statements([
            format!("{title} uses {part} of the processor time of the machine."),
            format!("{title} alone takes {part} of what all processors can do."),
            format!("{title} runs at {of_one} of one processor, which is {part} of the machine."),
        ])
    };
    let draft = draft.consequences(&[
        LITTLE_TIME,
        "A build, a backup or a model may need this much, but an endless loop looks the same.",
    ]);
    let found = seen
        .consequence(draft)
        .command(
            "See what its threads do.",
            format!("top -H -b -n 1 -p {} | head -n 30", process.pid),
            "Run {command} to see which of its threads use the most processor time.",
        )
        .remedy("Check that the process is meant to do this work now.")
        .advice("Give it a lower priority or a processor limit if other services become slow.")
        .advice("Move the work to a quieter time if it is not urgent.")
        .finish(format!("{} uses most of the processor time", name(process)));
    Some(found)
}

/// Returns the name of the process for the middle of a sentence.
fn name(process: &ProcessInfo) -> String {
    format!("process {} ({})", clean_name(&process.name), process.pid)
}

/// Starts a draft about the process, and returns it with the name for the beginning of a sentence.
fn about(rule: &Rule, severity: Severity, process: &ProcessInfo) -> (Draft, String) {
    let draft = Draft::new(rule, severity, name(process)).about(&process.pid.to_string());
    (draft, format!("Process {} ({})", clean_name(&process.name), process.pid))
}

fn path(process: &ProcessInfo, figure: &str) -> String {
    format!("host.processes[{}:{}].{figure}", clean_name(&process.name), process.pid)
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Info, Warning};
    use sutazai_core::domain::{EarlierValue, Snapshot, ZombieParent};

    use super::super::rule::tests::{grade, grade_with};
    use super::super::sample::{healthy, host};
    use super::super::trends::Trends;
    use super::super::trends::tests::trends;
    use super::*;

    #[test]
    fn zombies_that_last_have_their_bounds() {
        for (lasting, expected) in
            [(0, None), (10, None), (11, Some(Info)), (100, Some(Info)), (101, Some(Warning))]
        {
            let mut snapshot = healthy();
            let processes = host(&mut snapshot).processes.as_mut().unwrap();
            // Others exist between the end of a process and the call of its parent.
            (processes.zombies, processes.lasting_zombies) = (Some(lasting + 500), Some(lasting));
            assert_eq!(grade(&ZOMBIES, &snapshot), expected, "{lasting}");
            let processes = host(&mut snapshot).processes.as_mut().unwrap();
            (processes.zombies, processes.lasting_zombies) = (Some(lasting), None);
            assert_eq!(grade(&ZOMBIES, &snapshot), expected.map(|_| Info), "{lasting} at a single reading");
        }
    }

    fn read_before(snapshot: &mut Snapshot, series: &str, readings: &[(f64, f64)]) {
        host(snapshot).earlier = readings
            .iter()
            .map(|(seconds_ago, value)| EarlierValue {
                series: series.into(),
                seconds_ago: *seconds_ago,
                value: *value,
            })
            .collect();
    }

    #[tokio::test]
    async fn processes_are_blocked_if_two_readings_show_it() {
        const SERIES: &str = "host.processes.blocked";
        for (now, before, expected) in [
            (5, vec![(60.0, 50.0)], None),
            (6, vec![(60.0, 6.0)], Some(Warning)),
            (20, vec![(60.0, 50.0)], Some(Warning)),
            (21, vec![(60.0, 21.0)], Some(Critical)),
            (21, vec![(60.0, 20.0)], Some(Warning)),
            (50, vec![(60.0, 5.0)], None),
            // Within less than a second, as without history.
            (50, vec![(0.5, 50.0), (0.25, 50.0)], Some(Warning)),
            (50, vec![(1.0, 50.0), (0.5, 50.0)], Some(Critical)),
            (50, vec![(0.5, 50.0), (0.25, 5.0)], None),
            // A single reading.
            (5, vec![], None),
            (6, vec![], Some(Info)),
            (50, vec![], Some(Info)),
        ] {
            let mut snapshot = healthy();
            host(&mut snapshot).processes.as_mut().unwrap().blocked = Some(now);
            read_before(&mut snapshot, SERIES, &before);
            assert_eq!(grade(&BLOCKED_PROCESSES, &snapshot), expected, "{now} {before:?}");
        }
        let mut snapshot = healthy();
        host(&mut snapshot).processes.as_mut().unwrap().blocked = Some(21);
        for (before, expected) in [(21.0, Some(Critical)), (6.0, Some(Warning)), (5.0, None)] {
            let history = trends(&snapshot, SERIES, &[before]).await;
            assert_eq!(grade_with(&BLOCKED_PROCESSES, &snapshot, &history), expected, "{before}");
        }
    }

    #[test]
    fn process_that_uses_most_processor_time_does_so_at_two_readings() {
        // The healthy snapshot has four processors.
        for (now, before, expected) in [
            (200.0, vec![(0.25, 400.0)], None),
            (200.4, vec![(0.25, 200.4)], Some(Info)),
            (400.0, vec![(0.25, 400.0)], Some(Info)),
            (400.0, vec![(0.25, 200.0)], None),
            (400.0, vec![(0.25, 0.0)], None),
            (200.0, vec![], None),
            (200.4, vec![], Some(Info)),
            (f64::NAN, vec![(0.25, 400.0)], None),
        ] {
            let mut snapshot = healthy();
            host(&mut snapshot).processes.as_mut().unwrap().top[0].cpu_percent = now;
            read_before(&mut snapshot, "host.processes[postgres:812].cpu_percent", &before);
            assert_eq!(grade(&PROCESS_HOGS_CPU, &snapshot), expected, "{now} {before:?}");
            let no_trends = Trends::default();
            let facts = Facts::new(&snapshot, &no_trends);
            for found in (PROCESS_HOGS_CPU.check)(&facts) {
                let single = found.finding.summary.contains("at the only reading");
                assert_eq!(single, before.is_empty(), "{}", found.finding.summary);
            }
            host(&mut snapshot).cpu.cores = 0;
            assert_eq!(grade(&PROCESS_HOGS_CPU, &snapshot), None);
        }
    }

    /// Grades a process whose memory in MiB was read every five minutes, the last time now.
    async fn growing(readings: u32, mib: impl Fn(u32) -> f64, available_mib: u64) -> Option<Severity> {
        let mut snapshot: Snapshot = healthy();
        host(&mut snapshot).memory.available_bytes = Some(available_mib << 20);
        let process = &mut host(&mut snapshot).processes.as_mut().unwrap().top[0];
        process.own_memory_bytes = Some((mib(readings - 1) * 1_048_576.0) as u64);
        let series = format!("host.processes[{}:{}].own_memory_bytes", process.name, process.pid);
        let values: Vec<f64> = (0..readings - 1).map(|n| mib(n) * 1_048_576.0).collect();
        let trends = trends(&snapshot, &series, &values).await;
        grade_with(&PROCESS_GROWS, &snapshot, &trends)
    }

    #[tokio::test]
    async fn only_steady_growth_by_enough_counts() {
        let by = |start: f64, total: f64| move |n: u32| start + f64::from(n) * total / 20.0;
        assert_eq!(growing(21, by(100.0, 64.0), 100_000).await, None, "not over 64 MiB");
        assert_eq!(growing(21, by(100.0, 65.0), 100_000).await, Some(Warning));
        assert_eq!(growing(21, by(1000.0, 200.0), 100_000).await, None, "not over a fifth");
        assert_eq!(growing(21, by(1000.0, 201.0), 100_000).await, Some(Warning));
        assert_eq!(growing(21, by(100.0, 120.0), 289).await, Some(Warning), "lasts four hours");
        assert_eq!(growing(21, by(100.0, 120.0), 287).await, Some(Critical));
        // One step of twenty may fall, but not two.
        let dips = |at: &'static [u32]| {
            move |n: u32| 100.0 + f64::from(n) * 10.0 - if at.contains(&n) { 30.0 } else { 0.0 }
        };
        assert_eq!(growing(21, dips(&[5]), 100_000).await, Some(Warning));
        assert_eq!(growing(21, dips(&[5, 9]), 100_000).await, None);
        assert_eq!(growing(21, |_| 500.0, 100_000).await, None);
    }

    #[tokio::test]
    async fn minutes_are_enough_where_the_growth_is_steep() {
        // Growth by 300 MiB every five minutes for ten minutes; 5 MiB/s would be 1500.
        let steep = |n: u32| 100.0 + f64::from(n) * 300.0;
        for (hours_left, expected) in
            [(4.1, None), (3.9, Some(Warning)), (0.26, Some(Warning)), (0.24, Some(Critical))]
        {
            let available = (hours_left * 3600.0) as u64;
            assert_eq!(growing(3, steep, available).await, expected, "{hours_left}");
        }
        assert_eq!(growing(3, |n| 100.0 + f64::from(n) * 32.0, 100).await, None, "not over 64 MiB");
        assert_eq!(growing(3, |n| [100.0, 101.0, 700.0][n as usize], 100).await, None, "not steady");
    }

    /// Finds growth after readings in MiB of half a second ago, of a quarter of a second ago and of now.
    fn seen(readings: [f64; 3], age: u64, hours_left: f64) -> Option<Found> {
        let mut snapshot = healthy();
        let machine = host(&mut snapshot);
        let per_hour = (readings[2] - readings[0]) * 7200.0;
        machine.memory.available_bytes = Some((per_hour * hours_left * 1_048_576.0) as u64);
        let process = &mut machine.processes.as_mut().unwrap().top[0];
        process.age_seconds = Some(age);
        process.own_memory_bytes = Some((readings[2] * 1_048_576.0) as u64);
        let series = format!("host.processes[{}:{}].own_memory_bytes", process.name, process.pid);
        machine.earlier = [(0.5, readings[0]), (0.25, readings[1])]
            .map(|(seconds_ago, mib)| EarlierValue {
                series: series.clone(),
                seconds_ago,
                value: mib * 1_048_576.0,
            })
            .into();
        let no_trends = Trends::default();
        let facts = Facts::new(&snapshot, &no_trends);
        (PROCESS_GROWS.check)(&facts).into_iter().next()
    }

    #[test]
    fn seconds_are_worth_knowing_where_the_growth_is_steep() {
        // 5 MiB/s.
        let steep = [100.0, 101.25, 102.5];
        for (age, hours_left, expected) in [
            (600, 4.1, None),
            (600, 3.9, Some(Info)),
            (600, 0.26, Some(Info)),
            (600, 0.24, Some(Warning)),
            (60, 0.24, Some(Warning)),
            (59, 0.24, Some(Info)),
        ] {
            let found = seen(steep, age, hours_left).map(|found| found.finding.severity);
            assert_eq!(found, expected, "{age} {hours_left}");
        }
        assert_eq!(seen([100.0, 100.0, 102.5], 600, 1.0), None, "it took all at once");
        assert_eq!(seen([100.0, 102.5, 102.5], 600, 1.0), None, "it is over");
        assert_eq!(
            seen(steep, 600, 2.0).unwrap().finding.summary,
            "Process postgres (812) grew by 2.5 MiB in 0.5 seconds; at this rate, the available memory lasts for about \
             2 hours."
        );
    }

    #[test]
    fn zombies_are_reported_with_their_parent() {
        let mut snapshot = healthy();
        let processes = host(&mut snapshot).processes.as_mut().unwrap();
        (processes.zombies, processes.lasting_zombies) = (Some(170), Some(150));
        let (name, lasting_zombies) = ("rm -rf /".into(), Some(149));
        processes.zombie_parents = vec![ZombieParent { pid: 4711, name, zombies: 160, lasting_zombies }];
        let no_trends = Trends::default();
        let facts = Facts::new(&snapshot, &no_trends);
        let found = (ZOMBIES.check)(&facts).remove(0).finding;
        assert_eq!(
            found.summary,
            "The machine has 150 zombie processes; 149 of them are left by process rm -rf / (4711)."
        );
        let commands: Vec<_> = found.remedies.iter().filter_map(|one| one.command.as_deref()).collect();
        assert!(commands[0].ends_with("-p 4711") && !commands.iter().any(|one| one.contains("rm -rf")));
    }

    #[test]
    fn process_named_like_a_command_is_never_run() {
        for name in ["reboot", "rm -rf /", "$(reboot)", "`free -h`"] {
            let mut snapshot = healthy();
            let total = host(&mut snapshot).memory.total_bytes.unwrap();
            let process = &mut host(&mut snapshot).processes.as_mut().unwrap().top[0];
            (process.name, process.memory_bytes) = (name.into(), total / 10 * 9);
            let no_trends = Trends::default();
            let facts = Facts::new(&snapshot, &no_trends);
            let found = (PROCESS_HOGS_MEMORY.check)(&facts).remove(0).finding;
            let named = format!("Process {} (812)", clean_name(name));
            assert!(found.summary.starts_with(&named), "{}", found.summary);
            for command in found.remedies.iter().filter_map(|one| one.command.as_ref()) {
                assert!(!command.contains(name), "{command}");
            }
        }
    }

    #[test]
    fn one_process_is_reported_over_half_of_the_machine() {
        for (percent, expected) in [(50, None), (51, Some(Info))] {
            let mut snapshot = healthy();
            let total = host(&mut snapshot).memory.total_bytes.unwrap();
            host(&mut snapshot).processes.as_mut().unwrap().top[0].memory_bytes = total / 100 * percent;
            assert_eq!(grade(&PROCESS_HOGS_MEMORY, &snapshot), expected, "{percent}");
        }
    }
}
