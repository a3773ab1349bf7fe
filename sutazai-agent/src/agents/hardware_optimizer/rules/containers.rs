//! Rules of what containers use, beside what they may use.

use sutazai_core::domain::{ContainerInfo, Severity};

use super::bounds::{self, Bounds};
use super::draft::{Draft, Found};
use super::figures::{bytes, count, decimal, percent};
use super::names::{clean_name, id_argument};
use super::rule::{Facts, Rest, Rule};

/// Used share of a container's memory limit in percent; our choice, a little before a customary 90 %.
const MEMORY: Bounds = Bounds::new(85.0, 95.0);
/// Used share of a container's processors in percent, where it has a limit; seldom an emergency.
const CPU: Bounds = Bounds::mild(80.0, 95.0);
/// A container without limit is a warning from this share of the machine's memory on, in percent; our choice.
const UNLIMITED_LARGE: f64 = 25.0;
/// A limit that is proposed is twice what is used now, in whole steps of so many bytes.
const LIMIT_STEP: u64 = 64 << 20;

const STATS: (&str, &str) = ("See what each container uses.", "docker stats --no-stream");

/// Containers run without a memory limit.
pub(super) const CONTAINER_NO_LIMIT: Rule = Rule {
    name: "container_no_limit",
    meaning: "Containers without a memory limit can take all memory away from everything else.",
    check: |facts| Vec::from_iter(no_limit(facts)),
};

/// A container is near its memory limit.
pub(super) const CONTAINER_NEAR_LIMIT: Rule = Rule {
    name: "container_near_limit",
    meaning: "A container is near its memory limit, and the kernel ends it when it goes over.",
    check: near_limit,
};

/// A container uses nearly all the processor time it may.
pub(super) const CONTAINER_CPU_NEAR_LIMIT: Rule = Rule {
    name: "container_cpu_near_limit",
    meaning: "A container uses nearly all the processor time that its limit allows and is held back by it.",
    check: cpu_near_limit,
};

/// The containers of the snapshot that run.
fn running<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a ContainerInfo> {
    let all = facts.snapshot.containers.value().into_iter().flat_map(|engine| &engine.containers);
    all.filter(|container| container.state == "running")
}

/// A draft about the container, with the command that shows it.
pub(super) fn about(rule: &Rule, severity: Severity, container: &ContainerInfo) -> Draft {
    let name = clean_name(&container.name);
    Draft::new(rule, severity, format!("container {name}")).about(&name)
}

/// Where a figure of the container stands.
pub(super) fn path(container: &ContainerInfo, figure: &str) -> String {
    format!("containers[{}].{figure}", clean_name(&container.name))
}

fn no_limit(facts: &Facts<'_>) -> Option<Found> {
    let without: Vec<&ContainerInfo> =
        running(facts).filter(|container| container.memory_limit_bytes.is_none()).collect();
    let largest = without.iter().max_by_key(|container| container.memory_used_bytes)?;
    let number = without.len() as u64;
    let all = running(facts).count();
    let used = largest.memory_used_bytes;
    let machine = facts.snapshot.host.value().map(|host| host.memory.total_bytes);
    let share = used.zip(machine).map(|(used, all)| bounds::percent(used as f64, all as f64));
    let large = share.is_some_and(|share| share > UNLIMITED_LARGE);
    let severity = if large { Severity::Warning } else { Severity::Info };
    let name = clean_name(&largest.name);
    let mut draft = Draft::new(&CONTAINER_NO_LIMIT, severity, "containers")
        .judged("containers.without_memory_limit", number as f64, "count", 0.0)
        .context("containers.running", all as f64, "count");
    let mut summary =
        format!("{} of {all} running have no memory limit", count(number, "container", "containers"));
    if number == 1 {
        summary = format!("Container {name} has no memory limit");
    }
    if let Some(used) = used {
        draft = draft.context(path(largest, "memory_used_bytes"), used as f64, "bytes");
        let uses = bytes(used as f64);
        summary += &if number == 1 {
            format!(" and uses {uses}")
        } else {
            format!("; the largest, {name}, uses {uses}")
        };
    }
    let set = used.zip(id_argument(&largest.id)).map(|(used, id)| {
        let mib = proposed_limit(used) >> 20;
        format!("docker update --memory {mib}m --memory-swap {mib}m {id}")
    });
    let draft = draft
        .command(STATS.0, STATS.1)
        .command_if("Consider a memory limit of about twice what the largest uses.", set);
    Some(draft.says(summary + "."))
}

fn proposed_limit(used: u64) -> u64 {
    used.saturating_mul(2).div_ceil(LIMIT_STEP).max(1).saturating_mul(LIMIT_STEP)
}

fn near_limit(facts: &Facts<'_>) -> Vec<Found> {
    let judged = running(facts).filter_map(|container| {
        let share = container.memory_used_percent?;
        let (severity, bound) = MEMORY.grade(share)?;
        let (used, limit) = (container.memory_used_bytes? as f64, container.memory_limit_bytes? as f64);
        let series = format!("containers[{}].memory_used_bytes", container.name);
        let set = id_argument(&container.id).map(|id| {
            let mib = proposed_limit(limit as u64) >> 20;
            format!("docker update --memory {mib}m --memory-swap {mib}m {id}")
        });
        let draft = about(&CONTAINER_NEAR_LIMIT, severity, container)
            .judged(path(container, "memory_used_percent"), share, "percent", bound)
            .since(facts.trends.over_since(&series, bound / 100.0 * limit))
            .context(path(container, "memory_used_bytes"), used, "bytes")
            .context(path(container, "memory_limit_bytes"), limit, "bytes")
            .command(STATS.0, STATS.1)
            .advice("Find out why the container needs so much memory.")
            .command_if("Consider a higher memory limit if the machine has room.", set);
        Some(draft.says(format!(
            "Container {} uses {} of its {} of memory, {} of the limit.",
            clean_name(&container.name),
            bytes(used),
            bytes(limit),
            percent(share),
        )))
    });
    CONTAINER_NEAR_LIMIT.worst(judged.collect(), &rest("near their memory limit"))
}

fn cpu_near_limit(facts: &Facts<'_>) -> Vec<Found> {
    let judged = running(facts).filter_map(|container| {
        let (used, cores) = (container.cpu_percent?, container.cpu_limit_cores?);
        let share = bounds::percent(used, cores * 100.0);
        let (severity, bound) = CPU.grade(share)?;
        let draft = about(&CONTAINER_CPU_NEAR_LIMIT, severity, container)
            .judged(path(container, "cpu_of_limit_percent"), share, "percent", bound)
            .context(path(container, "cpu_percent"), used, "percent")
            .context(path(container, "cpu_limit_cores"), cores, "cores")
            .command(STATS.0, STATS.1)
            .advice("Raise its processor limit if the machine has room, or give it less work.");
        Some(draft.says(format!(
            "Container {} uses {} of the {} it may use.",
            clean_name(&container.name),
            percent(share),
            if cores == 1.0 { "1 processor".to_owned() } else { format!("{} processors", decimal(cores)) },
        )))
    });
    CONTAINER_CPU_NEAR_LIMIT.worst(judged.collect(), &rest("near their processor limit"))
}

/// What stands for the containers that are left out.
pub(super) fn rest(are: &'static str) -> Rest {
    Rest {
        metric: "containers",
        things: "containers",
        are,
        text: "See all containers and their state.",
        command: "docker ps -a",
    }
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Info, Warning};

    use super::super::rule::tests::grade;
    use super::super::sample::{around, containers, healthy, host};
    use super::super::trends::Trends;
    use super::*;

    #[test]
    fn one_finding_stands_for_all_without_limit() {
        let mut snapshot = healthy();
        assert_eq!(grade(&CONTAINER_NO_LIMIT, &snapshot), None, "all have a limit");
        let total = host(&mut snapshot).memory.total_bytes;
        for (used, expected) in [(total / 4, Info), (total / 4 + 1, Warning)] {
            let container = &mut containers(&mut snapshot)[0];
            (container.memory_limit_bytes, container.memory_used_percent) = (None, None);
            container.memory_used_bytes = Some(used);
            assert_eq!(grade(&CONTAINER_NO_LIMIT, &snapshot), Some(expected), "{used}");
        }
        containers(&mut snapshot)[0].state = "exited".into();
        assert_eq!(grade(&CONTAINER_NO_LIMIT, &snapshot), None, "it does not run");

        let one = ContainerInfo {
            state: "running".into(),
            memory_used_bytes: Some(70 << 20),
            ..containers(&mut snapshot)[0].clone()
        };
        *containers(&mut snapshot) = vec![one; 500];
        let found = (CONTAINER_NO_LIMIT.check)(&Facts { snapshot: &snapshot, trends: &Trends::default() });
        assert_eq!(
            found[0].finding.summary,
            "500 containers of 500 running have no memory limit; the largest, web, uses 70 MiB."
        );
        let command = found[0].finding.remedies[1].command.as_deref();
        assert_eq!(command, Some("docker update --memory 192m --memory-swap 192m 0123456789ab"));
    }

    #[test]
    fn use_of_the_limits_has_its_bounds() {
        for (value, expected) in around(85.0, 95.0) {
            let mut snapshot = healthy();
            containers(&mut snapshot)[0].memory_used_percent = Some(value);
            assert_eq!(grade(&CONTAINER_NEAR_LIMIT, &snapshot), expected, "{value}");
        }
        for (value, expected) in around(160.0, 190.0) {
            let mut snapshot = healthy();
            let container = &mut containers(&mut snapshot)[0];
            (container.cpu_percent, container.cpu_limit_cores) = (Some(value), Some(2.0));
            let milder = expected.map(|severity| if severity == Critical { Warning } else { Info });
            assert_eq!(grade(&CONTAINER_CPU_NEAR_LIMIT, &snapshot), milder, "{value}");
            containers(&mut snapshot)[0].cpu_limit_cores = None;
            assert_eq!(grade(&CONTAINER_CPU_NEAR_LIMIT, &snapshot), None, "{value}");
        }
    }
}
