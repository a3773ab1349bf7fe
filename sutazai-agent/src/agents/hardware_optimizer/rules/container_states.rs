//! Rules about the states of containers: killed, restarting, unhealthy, or ended with an error.

use sutazai_core::domain::{ContainerInfo, Severity};

use super::containers::{about, path, rest};
use super::draft::{Draft, Found};
use super::figures::{bytes, count};
use super::names::{clean_name, id_argument};
use super::rule::{Facts, Rule};

/// Number of restarts that deployments still explain; our choice.
const MAX_NORMAL_RESTARTS: u64 = 3;
/// Exit codes of a container that was stopped on purpose: interrupt, kill and termination signal (128 + number).
const STOP_EXIT_CODES: [i64; 4] = [0, 130, 137, 143];

const KILLED: &str = "A process that is killed this way cannot save its work or close its connections.";
const INTERRUPTED: &str = "A service is interrupted each time its container ends.";
const NO_ANSWER: &str = "The service of an unhealthy container may not answer, or may answer with errors.";
const UNAVAILABLE: &str = "The service of a stopped container is unavailable until it runs again.";

/// Reports a container that was killed because it ran out of memory.
pub(super) const CONTAINER_OOM_KILLED: Rule = Rule {
    name: "container_oom_killed",
    check: |facts| {
        each(facts, &CONTAINER_OOM_KILLED, "reported to have run out of memory", KILLED, oom_killed)
    },
};

/// Reports a container that restarts repeatedly.
pub(super) const CONTAINER_RESTARTING: Rule = Rule {
    name: "container_restarting",
    check: |facts| each(facts, &CONTAINER_RESTARTING, "restarted repeatedly", INTERRUPTED, restarting),
};

/// Reports a container that fails its health check.
pub(super) const CONTAINER_UNHEALTHY: Rule = Rule {
    name: "container_unhealthy",
    check: |facts| each(facts, &CONTAINER_UNHEALTHY, "unhealthy", NO_ANSWER, unhealthy),
};

/// Reports a container that ended with an error.
pub(super) const CONTAINER_EXITED: Rule = Rule {
    name: "container_exited",
    check: |facts| each(facts, &CONTAINER_EXITED, "stopped after an error", UNAVAILABLE, exited),
};

fn each(
    facts: &Facts<'_>,
    rule: &Rule,
    are: &'static str,
    consequence: &'static str,
    judge: fn(&ContainerInfo) -> Option<Found>,
) -> Vec<Found> {
    let all = facts.snapshot.containers.value().into_iter().flat_map(|engine| &engine.containers);
    rule.worst(all.filter_map(judge).collect(), &rest(are, consequence))
}

fn oom_killed(container: &ContainerInfo) -> Option<Found> {
    let name = clean_name(&container.name);
    let (severity, statement, effect) = match container.state.as_str() {
        _ if container.oom_killed != Some(true) => return None,
        "restarting" => (
            Severity::Critical,
            format!("Container {name} ran out of memory, was killed and is being restarted."),
            "The service is interrupted each time the container is killed.",
        ),
        "exited" | "stopped" | "dead" => (
            Severity::Warning,
            format!("Container {name} ended after it ran out of memory and was killed."),
            UNAVAILABLE,
        ),
        _ => (
            Severity::Warning,
            format!("In container {name}, at least one process was killed because memory ran out."),
            "A part of the service may not work until that process runs again.",
        ),
    };
    let mut draft = about(&CONTAINER_OOM_KILLED, severity, container)
        .judged(path(container, "oom_killed"), 1.0, "flag", 0.0)
        .statements([
            statement,
            format!("The container engine reports an out-of-memory kill in container {name}."),
        ]);
    if let Some(limit) = container.memory_limit_bytes {
        let figure = bytes(limit as f64);
        draft = draft
            .context(path(container, "memory_limit_bytes"), limit as f64, "bytes")
            .statements([format!("Container {name} ran out of memory with a limit of {figure}.")]);
    }
    let draft = draft.consequences(&[
        effect,
        KILLED,
        "It can happen again as long as the container needs more memory than it may use.",
    ]);
    let found = shown(
        draft,
        container,
        "Run {command} and check the memory limit and the number of restarts.",
    )
    .remedy("Raise the memory limit of the container, or find out why it needs this much.")
    .advice("Check the memory settings of the program inside, such as its heap size or number of workers.")
    .finish(format!("container {name} ran out of memory"));
    Some(found)
}

fn restarting(container: &ContainerInfo) -> Option<Found> {
    let now = container.state == "restarting";
    let often = container.restarts.filter(|restarts| *restarts > MAX_NORMAL_RESTARTS);
    if !now && (often.is_none() || container.state != "running") {
        return None;
    }
    let name = clean_name(&container.name);
    let (severity, effect, headline) = if now {
        (
            Severity::Critical,
            "The service does not answer until the container runs again.",
            format!("container {name} is being restarted"),
        )
    } else {
        (Severity::Warning, INTERRUPTED, format!("container {name} has restarted repeatedly"))
    };
    let draft = about(&CONTAINER_RESTARTING, severity, container);
    let draft = match container.restarts {
        Some(number) => {
            let (times, restarts) = (count(number, "time", "times"), count(number, "restart", "restarts"));
            let statement = if now {
                format!("Container {name} is being restarted now, with {restarts} counted so far.")
            } else {
                format!("Container {name} is running but has been restarted {times}.")
            };
            draft
                .judged(path(container, "restarts"), number as f64, "count", MAX_NORMAL_RESTARTS as f64)
                .statements([
                    statement,
                    format!("The container engine counts {restarts} of container {name}."),
                    format!("So far, container {name} has been restarted {times}."),
                ])
        }
        None => draft.judged(path(container, "restarting"), 1.0, "flag", 0.0).statements([
            format!("Container {name} is being restarted now."),
            format!("The container engine is restarting container {name}."),
        ]),
    };
    let draft = draft.consequences(&[
        effect,
        "A wrong setting, a missing dependency or an error at start is the usual cause.",
        "Work that is in progress can be lost at each restart.",
    ]);
    let found = shown(
        draft,
        container,
        "Run {command} and check the exit code, the settings and the restart policy.",
    )
    .remedy("Find and fix the reason why the container ends.")
    .advice("Check that the services that the container needs, such as a database, can be reached.")
    .finish(headline);
    Some(found)
}

fn unhealthy(container: &ContainerInfo) -> Option<Found> {
    if container.health.as_deref() != Some("unhealthy") || container.state != "running" {
        return None;
    }
    let name = clean_name(&container.name);
    let draft = about(&CONTAINER_UNHEALTHY, Severity::Warning, container)
        .judged(path(container, "health"), 1.0, "flag", 0.0)
        .statements([
            format!("Container {name} is running but fails its health check."),
            format!("The health check of container {name} fails."),
            format!("The container engine marks container {name} as unhealthy."),
        ])
        .consequences(&[
            NO_ANSWER,
            "Load balancers and other services may stop sending requests to it.",
            "Most engines do not restart a container because of a failed health check alone.",
        ]);
    let found = shown(
        draft,
        container,
        "Run {command} and read the section Health, which shows the last checks.",
    )
    .remedy("Fix what the health check reports.")
    .advice(
        "Check that the health check itself is right, with its command, its timeout and its start period.",
    )
    .finish(format!("container {name} fails its health check"));
    Some(found)
}

fn exited(container: &ContainerInfo) -> Option<Found> {
    let code = container.exit_code.filter(|code| !STOP_EXIT_CODES.contains(code))?;
    // Podman reports `stopped` where Docker reports `exited`.
    let ended = matches!(container.state.as_str(), "exited" | "stopped" | "dead");
    if !ended || container.oom_killed == Some(true) {
        return None;
    }
    let name = clean_name(&container.name);
    let cause = match code {
        126 | 127 => "This exit code usually means that the start command was not found or cannot be run.",
        129..=192 => {
            "This exit code usually means that a signal ended the program, for example after a crash."
        }
        _ => "This exit code usually means that the program itself reported an error.",
    };
    let draft = about(&CONTAINER_EXITED, Severity::Info, container)
        .judged(path(container, "exit_code"), code as f64, "code", 0.0)
        .statements([
            format!("Container {name} ended with exit code {code}."),
            format!("Container {name} is not running; its program ended with exit code {code}."),
            format!("Exit code {code} shows that container {name} did not end normally."),
        ])
        .consequences(&[UNAVAILABLE, cause]);
    let found =
        shown(draft, container, "Run {command} and check the start command, the settings and the mounts.")
            .remedy("Start the container again once the cause is fixed, if it is still needed.")
            .advice("Set a restart policy if the service should come back without help.")
            .finish(format!("container {name} ended with an error"));
    Some(found)
}

/// Adds the commands that show why a container ended; `inspect` says what to look for in its settings.
fn shown(draft: Draft, container: &ContainerInfo, inspect: &str) -> Draft {
    let id = id_argument(&container.id);
    draft
        .command_if(
            "Read the latest messages of the container.",
            id.map(|id| format!("docker logs --tail 50 {id}")),
            "Run {command} to read the latest messages of the container, and look for the first error.",
        )
        .command_if(
            "See the state and the settings of the container.",
            id.map(|id| format!("docker inspect {id}")),
            inspect,
        )
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
    fn kill_is_critical_while_restarting() {
        for (state, killed, expected) in [
            ("running", false, None),
            ("running", true, Some(Warning)),
            ("exited", true, Some(Warning)),
            ("restarting", true, Some(Critical)),
        ] {
            let found = grade_of(&CONTAINER_OOM_KILLED, |one| {
                (one.state, one.oom_killed) = (state.into(), Some(killed))
            });
            assert_eq!(found, expected, "{state} {killed}");
        }
    }

    #[test]
    fn restarts_are_judged_while_running() {
        for (state, restarts, expected) in [
            ("running", Some(3), None),
            ("running", Some(4), Some(Warning)),
            ("running", None, None),
            ("exited", Some(9), None),
            ("restarting", Some(0), Some(Critical)),
            ("restarting", None, Some(Critical)),
        ] {
            let found =
                grade_of(&CONTAINER_RESTARTING, |one| (one.state, one.restarts) = (state.into(), restarts));
            assert_eq!(found, expected, "{state} {restarts:?}");
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
    fn own_exit_code_is_an_error() {
        for (state, code, killed, expected) in [
            ("exited", Some(0), false, None),
            ("exited", Some(1), false, Some(Info)),
            ("dead", Some(1), false, Some(Info)),
            ("stopped", Some(1), false, Some(Info)),
            ("exited", Some(130), false, None),
            ("exited", Some(137), false, None),
            ("exited", Some(143), false, None),
            ("exited", Some(1), true, None),
            ("running", Some(1), false, None),
            ("exited", None, false, None),
        ] {
            let found = grade_of(&CONTAINER_EXITED, |one| {
                (one.state, one.exit_code, one.oom_killed) = (state.into(), code, Some(killed));
            });
            assert_eq!(found, expected, "{state} {code:?} {killed}");
        }
    }
}
