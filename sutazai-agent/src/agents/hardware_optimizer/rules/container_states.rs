//! Rules of how containers fare: killed, started again and again, unhealthy, ended with an error.

use sutazai_core::domain::{ContainerInfo, Severity};

use super::containers::{about, path, rest};
use super::draft::{Draft, Found};
use super::figures::count;
use super::names::{clean_name, id_argument};
use super::rule::{Facts, Rule};

/// More restarts than that are no deployment's doing; our choice.
const RESTARTS: u64 = 3;
/// Exit codes of a container that was stopped on purpose: interrupt, kill and termination signal (128 + number).
const STOPPED: [i64; 4] = [0, 130, 137, 143];

/// A container was killed for want of memory.
pub(super) const CONTAINER_OOM_KILLED: Rule = Rule {
    name: "container_oom_killed",
    meaning: "A container was ended by force because it wanted more memory than it may have.",
    check: |facts| each(facts, &CONTAINER_OOM_KILLED, "killed for want of memory", oom_killed),
};

/// A container is started again and again.
pub(super) const CONTAINER_RESTARTING: Rule = Rule {
    name: "container_restarting",
    meaning: "A container ends and is started again and again, so its service keeps failing.",
    check: |facts| each(facts, &CONTAINER_RESTARTING, "restarting", restarting),
};

/// A container fails its health check.
pub(super) const CONTAINER_UNHEALTHY: Rule = Rule {
    name: "container_unhealthy",
    meaning: "A container runs but fails its own health check, so its service may not answer.",
    check: |facts| each(facts, &CONTAINER_UNHEALTHY, "unhealthy", unhealthy),
};

/// A container ended with an error.
pub(super) const CONTAINER_EXITED: Rule = Rule {
    name: "container_exited",
    meaning: "A container ended with an error and nobody has started it again.",
    check: |facts| each(facts, &CONTAINER_EXITED, "ended with an error", exited),
};

fn each(
    facts: &Facts<'_>,
    rule: &Rule,
    are: &'static str,
    judge: fn(&ContainerInfo) -> Option<Found>,
) -> Vec<Found> {
    let all = facts.snapshot.containers.value().into_iter().flat_map(|engine| &engine.containers);
    rule.worst(all.filter_map(judge).collect(), &rest(are))
}

fn oom_killed(container: &ContainerInfo) -> Option<Found> {
    let severity = match container.state.as_str() {
        _ if !container.oom_killed => return None,
        "restarting" => Severity::Critical,
        _ => Severity::Warning,
    };
    let mut draft = about(&CONTAINER_OOM_KILLED, severity, container).judged(
        path(container, "oom_killed"),
        1.0,
        "flag",
        0.0,
    );
    if let Some(limit) = container.memory_limit_bytes {
        draft = draft.context(path(container, "memory_limit_bytes"), limit as f64, "bytes");
    }
    let draft = shown(draft, container).advice("Raise its memory limit or find out why it needs so much.");
    Some(draft.says(format!("Container {} was killed for want of memory.", clean_name(&container.name))))
}

fn restarting(container: &ContainerInfo) -> Option<Found> {
    let now = container.state == "restarting";
    if !now && (container.restarts <= RESTARTS || container.state != "running") {
        return None;
    }
    let severity = if now { Severity::Critical } else { Severity::Warning };
    let draft = about(&CONTAINER_RESTARTING, severity, container).judged(
        path(container, "restarts"),
        container.restarts as f64,
        "count",
        RESTARTS as f64,
    );
    let draft = shown(draft, container).advice("Repair what makes it end before it is started again.");
    let times = count(container.restarts, "time", "times");
    let is = if now { "is being restarted now and" } else { "runs but" };
    let name = clean_name(&container.name);
    Some(draft.says(format!("Container {name} {is} was started again {times}.")))
}

fn unhealthy(container: &ContainerInfo) -> Option<Found> {
    if container.health.as_deref() != Some("unhealthy") || container.state != "running" {
        return None;
    }
    let draft = about(&CONTAINER_UNHEALTHY, Severity::Warning, container).judged(
        path(container, "health"),
        1.0,
        "flag",
        0.0,
    );
    let draft = shown(draft, container).advice("Repair what its health check complains about.");
    Some(draft.says(format!("Container {} fails its health check.", clean_name(&container.name))))
}

fn exited(container: &ContainerInfo) -> Option<Found> {
    let code = container.exit_code.filter(|code| !STOPPED.contains(code))?;
    let ended = matches!(container.state.as_str(), "exited" | "dead");
    if !ended || container.oom_killed {
        return None;
    }
    let draft = about(&CONTAINER_EXITED, Severity::Info, container).judged(
        path(container, "exit_code"),
        code as f64,
        "code",
        0.0,
    );
    let draft = shown(draft, container).advice("Start it again once it is repaired, if it is still needed.");
    Some(draft.says(format!("Container {} ended with exit code {code}.", clean_name(&container.name))))
}

/// With what shows why a container ended.
fn shown(draft: Draft, container: &ContainerInfo) -> Draft {
    let id = id_argument(&container.id);
    draft
        .command_if("Read what it wrote last.", id.map(|id| format!("docker logs --tail 50 {id}")))
        .command_if("See its state and its settings.", id.map(|id| format!("docker inspect {id}")))
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{self, Critical, Info, Warning};

    use super::super::rule::tests::grade;
    use super::super::sample::{containers, healthy};
    use super::*;

    fn grade_of(rule: &Rule, change: impl Fn(&mut ContainerInfo)) -> Option<Severity> {
        let mut snapshot = healthy();
        change(&mut containers(&mut snapshot)[0]);
        grade(rule, &snapshot)
    }

    #[test]
    fn a_kill_is_worse_while_it_goes_on() {
        for (state, killed, expected) in [
            ("running", false, None),
            ("running", true, Some(Warning)),
            ("exited", true, Some(Warning)),
            ("restarting", true, Some(Critical)),
        ] {
            let found =
                grade_of(&CONTAINER_OOM_KILLED, |one| (one.state, one.oom_killed) = (state.into(), killed));
            assert_eq!(found, expected, "{state} {killed}");
        }
    }

    #[test]
    fn restarts_are_counted_while_it_runs() {
        for (state, restarts, expected) in [
            ("running", 3, None),
            ("running", 4, Some(Warning)),
            ("exited", 9, None),
            ("restarting", 0, Some(Critical)),
        ] {
            let found =
                grade_of(&CONTAINER_RESTARTING, |one| (one.state, one.restarts) = (state.into(), restarts));
            assert_eq!(found, expected, "{state} {restarts}");
        }
    }

    #[test]
    fn only_a_failed_check_is_unhealthy() {
        for (state, health, expected) in [
            ("running", None, None),
            ("running", Some("healthy"), None),
            ("running", Some("starting"), None),
            ("running", Some("unhealthy"), Some(Warning)),
            ("exited", Some("unhealthy"), None),
        ] {
            let found = grade_of(&CONTAINER_UNHEALTHY, |one| {
                (one.state, one.health) = (state.into(), health.map(str::to_owned));
            });
            assert_eq!(found, expected, "{state} {health:?}");
        }
    }

    #[test]
    fn an_exit_code_of_its_own_is_an_error() {
        for (state, code, killed, expected) in [
            ("exited", Some(0), false, None),
            ("exited", Some(1), false, Some(Info)),
            ("dead", Some(1), false, Some(Info)),
            ("exited", Some(130), false, None),
            ("exited", Some(137), false, None),
            ("exited", Some(143), false, None),
            ("exited", Some(1), true, None),
            ("running", Some(1), false, None),
            ("exited", None, false, None),
        ] {
            let found = grade_of(&CONTAINER_EXITED, |one| {
                (one.state, one.exit_code, one.oom_killed) = (state.into(), code, killed);
            });
            assert_eq!(found, expected, "{state} {code:?} {killed}");
        }
    }
}
