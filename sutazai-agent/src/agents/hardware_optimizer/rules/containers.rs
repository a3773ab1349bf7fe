//! Rules about the resource use of containers relative to their limits.

use sutazai_core::domain::{ContainerInfo, Severity};

use super::bounds::{self, Bounds};
use super::draft::{Draft, Found};
use super::figures::{bytes, decimal, percent};
use super::judged::{Judged, Levels};
use super::names::clean_name;
use super::rule::{Facts, Rest, Rule};
use super::sustained;

/// Used share of a container's memory limit in percent; our choice, a little before the usual 90 %.
const MEMORY: Bounds = Bounds::new(85.0, 95.0);
/// Used share of a container's processor limit in percent; rarely an emergency.
const CPU: Bounds = Bounds::mild(80.0, 95.0);
/// Used share of a container's limit of processes and threads in percent; usual thresholds of monitoring checks.
const PIDS: Bounds = Bounds::new(80.0, 95.0);
/// Share of the machine's memory, in percent, from which a container without limit is a warning; our choice.
const LARGE_UNLIMITED_PERCENT: f64 = 25.0;
const AT_LIMIT: &str = "When a container reaches its memory limit, the kernel kills a process in it.";
const HELD_BACK: &str =
    "When a container reaches its processor limit, its work pauses even if processors are free.";
const NO_FORK: &str = "When the limit is reached, no process or thread can be started in the container.";
const STATS: (&str, &str) = ("See what each container uses.", "docker stats --no-stream");

/// Reports containers without a memory limit.
pub(super) const CONTAINER_NO_LIMIT: Rule = Rule {
    name: "container_no_limit",
    title: "Containers without a memory limit",
    meaning: "It may take all memory from the rest. One finding for all such containers.",
    conditions: ["any that runs", "the largest holds over 25 % of the machine's memory", ""],
    source: "Docker's advice to limit memory; the share is ours",
    judged: &[Judged::above("containers.without_memory_limit", "count", Levels::NONE.info(0.0))],
    needs: &["containers.memory_limit_bytes"],
    check: |facts| Vec::from_iter(no_limit(facts)),
};

/// Reports a container that is near its memory limit.
pub(super) const CONTAINER_NEAR_LIMIT: Rule = Rule {
    name: "container_near_limit",
    title: "Memory limit of a container",
    meaning: "The kernel kills in it when the limit is reached.",
    conditions: ["", "over 85 % of the limit", "over 95 %"],
    source: "A little before the customary 90 %; ours",
    judged: &[Judged::percent("containers[<container>].memory_used_percent", MEMORY.levels())],
    needs: &["containers.memory_used_bytes", "containers.memory_limit_bytes"],
    check: near_limit,
};

/// Reports a container that is near its limit of processes and threads.
pub(super) const CONTAINER_PIDS_NEAR_LIMIT: Rule = Rule {
    name: "container_pids_near_limit",
    title: "Process limit of a container",
    meaning: "No process or thread can start in it beyond its limit.",
    conditions: ["", "over 80 % of the limit", "over 95 %"],
    source: "Customary bounds of monitoring checks",
    judged: &[Judged::percent("containers[<container>].pids_percent", PIDS.levels())],
    needs: &["containers.pids", "containers.pids_limit"],
    check: pids_near_limit,
};

/// Reports a container that uses nearly all the processor time it may.
pub(super) const CONTAINER_CPU_NEAR_LIMIT: Rule = Rule {
    name: "container_cpu_near_limit",
    title: "Processor limit of a container",
    meaning: "Its processor limit holds it back. Seen at two readings or more.",
    conditions: ["over 80 % of the limit, also at the only reading", "over 95 %", ""],
    source: "Seldom an emergency; ours",
    judged: &[Judged::percent("containers[<container>].cpu_of_limit_percent", CPU.levels())],
    needs: &["containers.cpu_percent", "containers.cpu_limit_cores"],
    check: cpu_near_limit,
};

/// Returns the running containers of the snapshot.
fn running<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a ContainerInfo> {
    let all = facts.snapshot.containers.value().into_iter().flat_map(|engine| &engine.containers);
    all.filter(|container| container.state == "running")
}

/// Starts a draft about the container.
pub(super) fn about(rule: &Rule, severity: Severity, container: &ContainerInfo) -> Draft {
    let name = clean_name(&container.name);
    Draft::new(rule, severity, format!("container {name}")).about(&name)
}

/// Returns the metric path of a figure of the container.
pub(super) fn path(container: &ContainerInfo, figure: &str) -> String {
    format!("containers[{}].{figure}", clean_name(&container.name))
}

fn no_limit(facts: &Facts<'_>) -> Option<Found> {
    let engine = facts.snapshot.containers.value()?;
    let is_known = |one: &ContainerInfo| {
        let limit = format!("containers[{}].memory_limit_bytes", one.name);
        engine.missing.iter().all(|missing| !missing.figures.contains(&limit))
    };
    // A container without use did not report its statistics: it may have ended meanwhile.
    let unlimited = |one: &&ContainerInfo| {
        one.memory_limit_bytes.is_none() && one.memory_used_bytes.is_some() && is_known(one)
    };
    facts.look_at(running(facts).filter(|one| one.memory_used_bytes.is_some() && is_known(one)).count());
    let without: Vec<&ContainerInfo> = running(facts).filter(unlimited).collect();
    let largest = without.iter().max_by_key(|container| container.memory_used_bytes)?;
    let number = without.len() as u64;
    let all = running(facts).count();
    let used = largest.memory_used_bytes? as f64;
    let machine = facts.snapshot.host.value().and_then(|host| host.memory.total_bytes);
    let share = machine.map(|all| bounds::percent(used, all as f64));
    let large = share.is_some_and(|share| share > LARGE_UNLIMITED_PERCENT);
    let severity = if large { Severity::Warning } else { Severity::Info };
    let name = clean_name(&largest.name);
    let draft = Draft::new(&CONTAINER_NO_LIMIT, severity, "containers")
        .judged("containers.without_memory_limit", number as f64, "count", 0.0)
        .context("containers.running", all as f64, "count")
        .context(path(largest, "memory_used_bytes"), used, "bytes");
    let uses = bytes(used);
    let draft = match number {
        1 => draft.statements([
            format!("Container {name} has no memory limit and uses {uses}."),
            format!("No memory limit is set for container {name}, which uses {uses}."),
        ]),
        _ => draft.statements([
            format!("No memory limit is set for {number} of {all} running containers; {name} uses the most, {uses}."),
            format!("Of {all} running containers, {number} have no memory limit; the largest, {name}, uses {uses}."),
        ]),
    };
    let draft = draft.consequences(&[
        "A container without a limit can [take|use up] the memory that everything else needs.",
        "When memory runs out, the kernel may kill processes outside the container that caused it.",
    ]);
    let draft = if large {
        draft.consequences(&["A container without a limit already holds a large part of the memory."])
    } else {
        draft
    };
    let (headline, set) = if number == 1 {
        (
            format!("container {name} has no memory limit"),
            "Set a memory limit of about twice what the container normally uses.",
        )
    } else {
        (
            "some containers have no memory limit".to_owned(),
            "Set memory limits of about twice the normal use, beginning with the largest container.",
        )
    };
    let found = draft
        .command(STATS.0, STATS.1, "Run {command} to see how much memory each container uses.")
        .remedy(set)
        .advice("Put the limit into the compose file or the start command, so that a new deployment keeps it.")
        .advice("Adjust the settings of the program inside, such as its heap size, so that it stays below the limit.")
        .finish(headline);
    Some(found)
}

fn near_limit(facts: &Facts<'_>) -> Vec<Found> {
    let judged = running(facts).filter_map(|container| {
        let share = container.memory_used_percent?;
        facts.look();
        let (severity, bound) = MEMORY.grade(share)?;
        let (used, limit) = (container.memory_used_bytes? as f64, container.memory_limit_bytes? as f64);
        let series = format!("containers[{}].memory_used_bytes", container.name);
        let draft = about(&CONTAINER_NEAR_LIMIT, severity, container)
            .judged(path(container, "memory_used_percent"), share, "percent", bound)
            .since(facts.trends.over_since(&series, bound / 100.0 * limit))
            .context(path(container, "memory_used_bytes"), used, "bytes")
            .context(path(container, "memory_limit_bytes"), limit, "bytes");
        let name = clean_name(&container.name);
        let (share, used, limit) = (percent(share), bytes(used), bytes(limit));
        let found = draft
            .statements([
                format!("Container {name} uses {used} of its {limit} of memory, {share} of its limit."),
                format!("Memory use of container {name} is at {share} of its limit of {limit}."),
                format!("Container {name} has reached {share} of its memory limit ({used} of {limit})."),
            ])
            .consequences(&[
                AT_LIMIT,
                "If the main process of a container is killed, its service is interrupted.",
                "The limit applies to the container even if the machine has free memory.",
            ])
            .command(
                STATS.0,
                STATS.1,
                "Run {command} now and again later to see whether the memory use of the container still rises.",
            )
            .remedy("Find out why the container needs this much memory.")
            .remedy("Raise the memory limit of the container if the machine has enough free memory.")
            .advice("Check the memory settings of the program inside, such as its heap size, caches and workers.")
            .finish(format!("container {name} is near its memory limit"));
        Some(found)
    });
    CONTAINER_NEAR_LIMIT.worst(judged.collect(), &rest("near their memory limit", AT_LIMIT))
}

fn pids_near_limit(facts: &Facts<'_>) -> Vec<Found> {
    let judged = running(facts).filter_map(|container| {
        let (used, limit) = (container.pids? as f64, container.pids_limit? as f64);
        let share = bounds::percent(used, limit);
        facts.look();
        let (severity, bound) = PIDS.grade(share)?;
        let name = clean_name(&container.name);
        let draft = about(&CONTAINER_PIDS_NEAR_LIMIT, severity, container)
            .judged(path(container, "pids_percent"), share, "percent", bound)
            .context(path(container, "pids"), used, "count")
            .context(path(container, "pids_limit"), limit, "count");
        let share = percent(share);
        let found = draft
            .statements([
                format!("Container {name} has {used} of the {limit} processes and threads it may have, which is {share}."),
                format!("Container {name} has reached {share} of its limit of {limit} processes and threads."),
            ])
            .consequences(&[
                NO_FORK,
                "Programs then report missing resources, although memory and processors may be free.",
                "A program that never ends its threads is a common cause.",
            ])
            .command(STATS.0, STATS.1, "Run {command} to see how many processes and threads each container has.")
            .remedy("Look for a program in the container that starts too many processes, or raise the limit.")
            .advice("Limit the number of threads or workers in the settings of the program inside.")
            .finish(format!("container {name} is near its process limit"));
        Some(found)
    });
    CONTAINER_PIDS_NEAR_LIMIT.worst(judged.collect(), &rest("near their process limit", NO_FORK))
}

fn cpu_near_limit(facts: &Facts<'_>) -> Vec<Found> {
    let judged = running(facts).filter_map(|container| {
        let (used, cores) = (container.cpu_percent?, container.cpu_limit_cores?);
        let share = bounds::percent(used, cores * 100.0);
        let series = format!("containers[{}].cpu_percent", container.name);
        let mut readings = facts.readings(&series, used);
        for (_, used) in &mut readings {
            *used /= cores;
        }
        // No bound is critical, so the length of the current reading does not matter.
        let seen = sustained::judge(facts, CPU, &readings, 0.0)?;
        let draft = about(&CONTAINER_CPU_NEAR_LIMIT, seen.severity, container)
            .judged(path(container, "cpu_of_limit_percent"), share, "percent", seen.bound)
            .context(path(container, "cpu_percent"), used, "percent")
            .context(path(container, "cpu_limit_cores"), cores, "cores")
            .context(path(container, "readings"), seen.readings as f64, "count");
        let name = clean_name(&container.name);
        let share = percent(share);
        let limit =
            if cores == 1.0 { "1 processor".to_owned() } else { format!("{} processors", decimal(cores)) };
        let draft = if seen.is_single() {
            draft.statements([
                format!("At the only reading, container {name} used {share} of its limit of {limit}."),
                format!("By a single reading, container {name} may use {limit} and is at {share} of that."),
            ])
        } else {
            draft.statements([
                format!("Container {name} uses {share} of its limit of {limit}."),
                format!("Processor use of container {name} is at {share} of its limit of {limit}."),
                format!("Container {name} may use {limit} and is at {share} of that."),
            ])
        };
        let draft = draft.consequences(&[
            HELD_BACK,
            "Requests to the container [take longer|are delayed] while it is held back by the limit.",
        ]);
        let found = seen
            .consequence(draft)
            .command(
                STATS.0,
                STATS.1,
                "Run {command} a few times to see whether the processor use of the container stays high.",
            )
            .remedy("Raise the processor limit of the container if the machine has free processors, or give it less work.")
            .advice("Look for a heavy job or an endless loop in the container before you raise the limit.")
            .finish(format!("container {name} is near its processor limit"));
        Some(found)
    });
    CONTAINER_CPU_NEAR_LIMIT.worst(judged.collect(), &rest("near their processor limit", HELD_BACK))
}

/// Describes the containers beyond the reported ones.
pub(super) fn rest(are: &'static str, consequence: &'static str) -> Rest {
    Rest {
        metric: "containers",
        things: "containers",
        are,
        consequence,
        text: "See all containers and their state.",
        command: "docker ps -a",
        advice: "Run {command} to see all containers and their state.",
    }
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Info, Warning};
    use sutazai_core::domain::{EarlierValue, MissingFigures, Section, Snapshot};

    use super::super::rule::tests::{grade, grade_with};
    use super::super::sample::{around, containers, healthy, host};
    use super::super::trends::Trends;
    use super::super::trends::tests::trends;
    use super::*;

    #[test]
    fn containers_without_limit_share_one_finding() {
        let mut snapshot = healthy();
        assert_eq!(grade(&CONTAINER_NO_LIMIT, &snapshot), None, "all have a limit");
        let total = host(&mut snapshot).memory.total_bytes.unwrap();
        for (used, expected) in [(total / 4, Info), (total / 4 + 1, Warning)] {
            let container = &mut containers(&mut snapshot)[0];
            (container.memory_limit_bytes, container.memory_used_percent) = (None, None);
            container.memory_used_bytes = Some(used);
            assert_eq!(grade(&CONTAINER_NO_LIMIT, &snapshot), Some(expected), "{used}");
        }
        let figures = vec!["containers[web].memory_limit_bytes".to_owned()];
        let missing = vec![MissingFigures { figures, reason: "it was late".into() }];
        let Section::Present { value } = &mut snapshot.containers else { panic!() };
        value.missing = missing;
        assert_eq!(grade(&CONTAINER_NO_LIMIT, &snapshot), None, "its limit is unknown");
        let Section::Present { value } = &mut snapshot.containers else { panic!() };
        value.missing.clear();
        containers(&mut snapshot)[0].state = "exited".into();
        assert_eq!(grade(&CONTAINER_NO_LIMIT, &snapshot), None, "it does not run");

        let one = ContainerInfo {
            state: "running".into(),
            memory_used_bytes: Some(70 << 20),
            ..containers(&mut snapshot)[0].clone()
        };
        *containers(&mut snapshot) = vec![one; 500];
        let found = (CONTAINER_NO_LIMIT.check)(&Facts::new(&snapshot, &Trends::default()));
        assert_eq!(
            found[0].finding.summary,
            "No memory limit is set for 500 of 500 running containers; web uses the most, 70 MiB."
        );
    }

    #[test]
    fn container_without_statistics_is_not_reported_as_unlimited() {
        let mut snapshot = healthy();
        let container = &mut containers(&mut snapshot)[0];
        (container.memory_limit_bytes, container.memory_used_percent) = (None, None);
        container.memory_used_bytes = None;
        assert_eq!(grade(&CONTAINER_NO_LIMIT, &snapshot), None);
    }

    #[test]
    fn processes_of_a_container_are_compared_with_its_limit() {
        for (pids, limit, expected) in [
            (80, Some(100), None),
            (81, Some(100), Some(Warning)),
            (95, Some(100), Some(Warning)),
            (96, Some(100), Some(Critical)),
            (5000, None, None),
            (0, Some(0), None),
        ] {
            let mut snapshot = healthy();
            let container = &mut containers(&mut snapshot)[0];
            (container.pids, container.pids_limit) = (Some(pids), limit);
            assert_eq!(grade(&CONTAINER_PIDS_NEAR_LIMIT, &snapshot), expected, "{pids} of {limit:?}");
            containers(&mut snapshot)[0].pids = None;
            assert_eq!(grade(&CONTAINER_PIDS_NEAR_LIMIT, &snapshot), None);
        }
    }

    #[test]
    fn use_of_the_limits_is_graded_by_bounds() {
        for (value, expected) in around(85.0, 95.0) {
            let mut snapshot = healthy();
            containers(&mut snapshot)[0].memory_used_percent = Some(value);
            assert_eq!(grade(&CONTAINER_NEAR_LIMIT, &snapshot), expected, "{value}");
        }
    }

    /// Returns a machine with a container that may use two processors, and uses this share of one now and before.
    fn busy(now: f64, before: Option<f64>) -> Snapshot {
        let mut snapshot = healthy();
        let container = &mut containers(&mut snapshot)[0];
        (container.cpu_percent, container.cpu_limit_cores) = (Some(now), Some(2.0));
        if let Section::Present { value: engine } = &mut snapshot.containers {
            engine.earlier = Vec::from_iter(before.map(|value| EarlierValue {
                series: "containers[web].cpu_percent".into(),
                seconds_ago: 0.25,
                value,
            }));
        }
        snapshot
    }

    #[tokio::test]
    async fn use_of_the_processor_limit_must_be_seen_at_two_readings() {
        for (value, expected) in around(160.0, 190.0) {
            let milder = expected.map(|severity| if severity == Critical { Warning } else { Info });
            let snapshot = busy(value, Some(value));
            assert_eq!(grade(&CONTAINER_CPU_NEAR_LIMIT, &snapshot), milder, "{value}");
            assert_eq!(grade(&CONTAINER_CPU_NEAR_LIMIT, &busy(value, Some(200.0))), milder, "{value}");
            assert_eq!(grade(&CONTAINER_CPU_NEAR_LIMIT, &busy(value, Some(160.0))), None, "{value}, a burst");
            let snapshot = busy(value, None);
            let once = milder.map(|_| Info);
            assert_eq!(grade(&CONTAINER_CPU_NEAR_LIMIT, &snapshot), once, "{value} at a single reading");
            let no_trends = Trends::default();
            let facts = Facts::new(&snapshot, &no_trends);
            for found in (CONTAINER_CPU_NEAR_LIMIT.check)(&facts) {
                let summary = found.finding.summary;
                assert!(summary.starts_with("At the only reading, container web used"), "{summary}");
            }
            let mut unlimited = busy(value, Some(value));
            containers(&mut unlimited)[0].cpu_limit_cores = None;
            assert_eq!(grade(&CONTAINER_CPU_NEAR_LIMIT, &unlimited), None, "{value}");
        }
        let snapshot = busy(195.0, None);
        for (before, expected) in [(195.0, Some(Warning)), (185.0, Some(Info)), (160.0, None)] {
            let history = trends(&snapshot, "containers[web].cpu_percent", &[before]).await;
            assert_eq!(grade_with(&CONTAINER_CPU_NEAR_LIMIT, &snapshot, &history), expected, "{before}");
        }
    }
}
