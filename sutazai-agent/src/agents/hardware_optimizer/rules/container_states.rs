//! Rules about the states of containers: killed, restarting, unhealthy, or ended with an error.
//!
//! The engine's counter of restarts and its flag of a kill have no time. Their time comes from the history, from the
//! kernel's log, or from the engine's times of the latest run: what is longer ago is informational.

use chrono::TimeDelta;
use sutazai_core::domain::{ContainerInfo, Severity};

use super::containers::{about, path, rest};
use super::draft::{Draft, Found};
use super::figures::{bytes, count};
use super::judged::{Judged, Levels};
use super::kills::{CURRENT_WINDOW, RECENT_WINDOW, logged, within};
use super::names::{clean_name, id_argument};
use super::rule::{Facts, Rule};

/// Number of restarts that deployments still explain; our choice.
const MAX_NORMAL_RESTARTS: u64 = 3;
/// Period in which a container ends at least twice if it is restarted again and again; our choice. A container engine waits for
/// up to a minute before it starts it again.
const LOOP_WINDOW: TimeDelta = TimeDelta::minutes(10);
/// Length of the identifiers in [`ContainerInfo::id`].
const ID_LENGTH: usize = 12;
/// Exit codes of a container that was stopped on purpose: interrupt, kill and termination signal (128 + number).
const STOP_EXIT_CODES: [i64; 4] = [0, 130, 137, 143];

const KILLED: &str = "A process that is killed this way cannot save its work or close its connections.";
const INTERRUPTED: &str = "A service is interrupted each time its container ends.";
const NO_ANSWER: &str = "The service of an unhealthy container may not answer, or may answer with errors.";
const UNAVAILABLE: &str = "The service of a stopped container is unavailable until it runs again.";

/// Reports a container that was killed because it ran out of memory.
pub(super) const CONTAINER_OOM_KILLED: Rule = Rule {
    name: "container_oom_killed",
    title: "Container out of memory",
    meaning: "The engine reports that it, or a process in it, was killed because memory ran out. The time is \
              that of the end of its latest run, or for one that runs, that of its start, of the kernel's \
              log or of the history.",
    conditions: [
        "longer ago than a day, or at an unknown time",
        "within a day",
        "within an hour, and it is being restarted after it ended twice within ten minutes",
    ],
    source: "`State.OOMKilled` of the engine; the times are ours",
    judged: &[Judged::above(
        "containers[<container>].oom_killed",
        "flag",
        Levels::NONE.info(0.0).warning(0.0).critical(0.0),
    )],
    needs: &["containers.oom_killed"],
    check: |facts| {
        each(facts, &CONTAINER_OOM_KILLED, "reported to have run out of memory", KILLED, oom_killed)
    },
};

/// Reports a container that restarts repeatedly.
pub(super) const CONTAINER_RESTARTING: Rule = Rule {
    name: "container_restarting",
    title: "Container restarts",
    meaning: "It ends and is started again. The history dates the restarts, or else the start or end of its \
              latest run does.",
    conditions: [
        "over 3 restarts, the last one longer ago than an hour or at an unknown time; or it is being \
         restarted at the only reading",
        "over 3 restarts within a day, or over 3 and the last one within an hour",
        "it is being restarted now, after it ended twice within ten minutes",
    ],
    source: "The numbers are ours",
    judged: &[
        Judged::above(
            "containers[<container>].restarts",
            "count",
            Levels::NONE.info(MAX_NORMAL_RESTARTS as f64).warning(MAX_NORMAL_RESTARTS as f64),
        ),
        Judged::above("containers[<container>].restarting", "flag", Levels::NONE.info(0.0)),
    ],
    needs: &["containers"],
    check: |facts| each(facts, &CONTAINER_RESTARTING, "restarted repeatedly", INTERRUPTED, restarting),
};

/// Reports a container that fails its health check.
pub(super) const CONTAINER_UNHEALTHY: Rule = Rule {
    name: "container_unhealthy",
    title: "Container health",
    meaning: "It fails its own health check.",
    conditions: ["", "`unhealthy`", ""],
    source: "The engine calls it so after its set number of failures",
    judged: &[Judged::above("containers[<container>].health", "flag", Levels::NONE.warning(0.0))],
    needs: &["containers"],
    check: |facts| each(facts, &CONTAINER_UNHEALTHY, "unhealthy", NO_ANSWER, unhealthy),
};

/// Reports a container that ended with an error.
pub(super) const CONTAINER_EXITED: Rule = Rule {
    name: "container_exited",
    title: "Container ended with an error",
    meaning: "It ended (`exited`, or `stopped` as Podman says) with an exit code other than 0 and those of a \
              stop on purpose (130, 137, 143).",
    conditions: ["yes", "", ""],
    source: "Exit codes 128 + number of a signal are the shell's custom",
    judged: &[Judged::above("containers[<container>].exit_code", "code", Levels::NONE.info(0.0))],
    needs: &["containers.exit_code"],
    check: |facts| each(facts, &CONTAINER_EXITED, "stopped after an error", UNAVAILABLE, exited),
};

fn each(
    facts: &Facts<'_>,
    rule: &Rule,
    are: &'static str,
    consequence: &'static str,
    judge: fn(&Facts<'_>, &ContainerInfo) -> Option<Found>,
) -> Vec<Found> {
    let all = facts.snapshot.containers.value().into_iter().flat_map(|engine| &engine.containers);
    let found = all.filter_map(|container| judge(facts, container));
    rule.worst(found.collect(), &rest(are, consequence))
}

/// Indicates that its program does not run. Podman reports `stopped` where Docker reports `exited`.
fn has_ended(container: &ContainerInfo) -> bool {
    matches!(container.state.as_str(), "exited" | "stopped" | "dead")
}

fn is_restarting(container: &ContainerInfo) -> bool {
    container.state == "restarting"
}

/// Returns the name of a figure's series, as in the metric history.
fn series(container: &ContainerInfo, figure: &str) -> String {
    format!("containers[{}].{figure}", container.name)
}

fn is_recent(seconds_ago: Option<u64>, window: TimeDelta) -> bool {
    seconds_ago.is_some_and(|seconds| seconds <= window.num_seconds().unsigned_abs())
}

/// Returns whether a container that is being restarted has ended twice or more within ten minutes: by its history, or
/// because its latest run was a restart too. The engine counts the restart that it is about to make.
fn ends_again(facts: &Facts<'_>, container: &ContainerInfo) -> bool {
    let Some(restarts) = container.restarts else { return false };
    let risen = facts.trends.rise(&series(container, "restarts"), LOOP_WINDOW, restarts as f64);
    let restarted = restarts >= 2 && is_recent(container.started_seconds_ago, LOOP_WINDOW);
    is_restarting(container) && (restarted || risen.is_some_and(|risen| risen >= 2.0))
}

/// Returns whether a container that is reported to have run out of memory did so within this time.
fn killed_within(facts: &Facts<'_>, container: &ContainerInfo, window: TimeDelta) -> bool {
    let id = container.id.as_str();
    // The path of a container's group contains its whole identifier.
    let is_it = |group: &str| id.len() >= ID_LENGTH && group.contains(id);
    let mut in_log = logged(facts, true).filter(|kill| kill.group.as_deref().is_some_and(is_it));
    // The flag belongs to the latest run.
    let by_engine = if has_ended(container) || is_restarting(container) {
        container.finished_seconds_ago
    } else {
        container.started_seconds_ago
    };
    let risen = facts.trends.rise(&series(container, "oom_killed"), window, 1.0);
    in_log.any(|kill| within(kill, window))
        || is_recent(by_engine, window)
        || risen.is_some_and(|risen| risen >= 1.0)
}

fn oom_killed(facts: &Facts<'_>, container: &ContainerInfo) -> Option<Found> {
    let killed = container.oom_killed?;
    facts.look();
    if !killed {
        return None;
    }
    let name = clean_name(&container.name);
    let (now, ended) = (is_restarting(container), has_ended(container));
    let [current, recent] =
        [CURRENT_WINDOW, RECENT_WINDOW].map(|window| killed_within(facts, container, window));
    let severity = match (current, recent) {
        (true, _) if ends_again(facts, container) => Severity::Critical,
        (true, _) | (_, true) => Severity::Warning,
        _ => Severity::Info,
    };
    let when = match (current, recent) {
        (true, _) => "within the last hour",
        (_, true) => "within the last day",
        _ if !now && !ended => "since the container was started",
        _ if container.finished_seconds_ago.is_some() => "more than a day ago",
        _ => "at a time that the engine does not report",
    };
    let (statement, effect) = if now {
        (
            format!("Container {name} ran out of memory and was killed {when}, and is being restarted."),
            "The service is interrupted each time the container is killed.",
        )
    } else if ended {
        (format!("Container {name} ran out of memory and was killed {when}."), UNAVAILABLE)
    } else {
        (
            format!("In container {name}, at least one process has been killed for lack of memory {when}."),
            "A part of the service may not work until that process runs again.",
        )
    };
    let mut draft = about(&CONTAINER_OOM_KILLED, severity, container)
        .judged(path(container, "oom_killed"), 1.0, "flag", 0.0)
        .statements([
            statement,
            format!("The container engine reports an out-of-memory kill in container {name} {when}."),
        ]);
    draft = times(draft, container);
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

/// Adds the times of the latest run to the evidence.
fn times(draft: Draft, container: &ContainerInfo) -> Draft {
    let figures = [
        ("started_seconds_ago", container.started_seconds_ago),
        ("finished_seconds_ago", container.finished_seconds_ago),
    ];
    figures.into_iter().fold(draft, |draft, (figure, seconds)| match seconds {
        Some(seconds) => draft.context(path(container, figure), seconds as f64, "seconds"),
        None => draft,
    })
}

/// Begins the finding about a container that is being restarted, or has been more often than deployments explain.
fn restarted(facts: &Facts<'_>, container: &ContainerInfo, number: u64) -> Draft {
    let (now, many) = (is_restarting(container), number > MAX_NORMAL_RESTARTS);
    let name = clean_name(&container.name);
    let rise = |window| facts.trends.rise(&series(container, "restarts"), window, number as f64);
    let of_day = rise(RECENT_WINDOW).filter(|risen| *risen > MAX_NORMAL_RESTARTS as f64);
    let last = if now { container.finished_seconds_ago } else { container.started_seconds_ago };
    // A start that the counter did not rise at was made by hand.
    let current = is_recent(last, CURRENT_WINDOW) && rise(CURRENT_WINDOW).is_none_or(|risen| risen >= 1.0);
    let (times, restarts) = (count(number, "time", "times"), count(number, "restart", "restarts"));
    let total = [
        format!("The container engine counts {restarts} of container {name}."),
        format!("So far, container {name} has been restarted {times}."),
    ];
    let begin = |severity, counted: f64| {
        let draft = about(&CONTAINER_RESTARTING, severity, container);
        let bound = MAX_NORMAL_RESTARTS as f64;
        self::times(draft.judged(path(container, "restarts"), counted, "count", bound), container)
    };
    let begin_total =
        |severity, statement| begin(severity, number as f64).statements([statement]).statements(total);
    if ends_again(facts, container) {
        let statement = format!("Container {name} is being restarted now, with {restarts} counted so far.");
        begin_total(Severity::Critical, statement)
    } else if let Some(of_day) = of_day {
        let times = count(of_day as u64, "time", "times");
        begin(Severity::Warning, of_day).statements([
            format!("Container {name} has been restarted {times} within the last day."),
            format!("Within the last day, the engine has restarted container {name} {times}."),
        ])
    } else if many && current {
        let statement =
            format!("Container {name} has been restarted {times}, the last time within the last hour.");
        begin_total(Severity::Warning, statement)
    } else if many {
        let since = match last {
            Some(_) => "but not repeatedly within the last hour",
            None => "at times that the engine does not report",
        };
        let statement = format!("Container {name} has been restarted {times} since it was created, {since}.");
        begin_total(Severity::Info, statement)
    } else {
        let statement = format!(
            "At the only reading, container {name} was being restarted, with {restarts} counted so far."
        );
        begin_total(Severity::Info, statement)
    }
}

fn restarting(facts: &Facts<'_>, container: &ContainerInfo) -> Option<Found> {
    facts.look();
    let now = is_restarting(container);
    let many = container.restarts.is_some_and(|restarts| restarts > MAX_NORMAL_RESTARTS);
    if !now && (!many || container.state != "running") {
        return None;
    }
    let name = clean_name(&container.name);
    let draft = match container.restarts {
        Some(number) => restarted(facts, container, number),
        // Only the list of the engine tells this, because it did not describe the container.
        None => about(&CONTAINER_RESTARTING, Severity::Info, container)
            .judged(path(container, "restarting"), 1.0, "flag", 0.0)
            .statements([
                format!("At the only reading, container {name} was being restarted."),
                format!("By a single reading, the container engine is restarting container {name}."),
            ]),
    };
    let (effect, headline) = if now {
        (
            "The service does not answer until the container runs again.",
            format!("container {name} is being restarted"),
        )
    } else {
        (INTERRUPTED, format!("container {name} has restarted repeatedly"))
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

fn unhealthy(facts: &Facts<'_>, container: &ContainerInfo) -> Option<Found> {
    let health = container.health.as_deref()?;
    facts.look();
    if health != "unhealthy" || container.state != "running" {
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

fn exited(facts: &Facts<'_>, container: &ContainerInfo) -> Option<Found> {
    facts.look();
    let code = container.exit_code.filter(|code| !STOP_EXIT_CODES.contains(code))?;
    if !has_ended(container) || container.oom_killed == Some(true) {
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
    use sutazai_core::domain::{KillInfo, Snapshot};

    use super::super::rule::tests::{grade, grade_with};
    use super::super::sample::{containers, healthy, host};
    use super::super::trends::Trends;
    use super::super::trends::tests::trends;
    use super::*;

    fn grade_of(rule: &Rule, change: impl Fn(&mut ContainerInfo)) -> Option<Severity> {
        let mut snapshot = healthy();
        change(&mut containers(&mut snapshot)[0]);
        grade(rule, &snapshot)
    }

    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;

    #[test]
    fn kill_is_a_warning_for_a_day() {
        for (state, killed, started, finished, expected) in [
            ("running", false, Some(5), None, None),
            // The flag of a running container belongs to its latest run.
            ("running", true, Some(HOUR), None, Some(Warning)),
            ("running", true, Some(DAY), None, Some(Warning)),
            ("running", true, Some(DAY + 1), Some(5), Some(Info)),
            ("running", true, None, None, Some(Info)),
            ("exited", true, Some(9 * DAY), Some(HOUR), Some(Warning)),
            ("exited", true, Some(9 * DAY), Some(DAY), Some(Warning)),
            ("stopped", true, Some(9 * DAY), Some(DAY + 1), Some(Info)),
            ("dead", true, Some(5), None, Some(Info)),
        ] {
            let found = grade_of(&CONTAINER_OOM_KILLED, |one| {
                (one.state, one.oom_killed) = (state.into(), Some(killed));
                (one.started_seconds_ago, one.finished_seconds_ago) = (started, finished);
            });
            assert_eq!(found, expected, "{state} {killed} {started:?} {finished:?}");
        }
    }

    #[test]
    fn repeated_kill_is_critical_while_restarting() {
        for (restarts, started, finished, expected) in [
            (2, Some(600), Some(5), Some(Critical)),
            (2, Some(601), Some(5), Some(Warning)),
            // The first restart, after a run that ended once.
            (1, Some(60), Some(5), Some(Warning)),
            (9, None, Some(5), Some(Warning)),
            (9, None, None, Some(Info)),
        ] {
            let found = grade_of(&CONTAINER_OOM_KILLED, |one| {
                (one.state, one.oom_killed, one.restarts) = ("restarting".into(), Some(true), Some(restarts));
                (one.started_seconds_ago, one.finished_seconds_ago) = (started, finished);
            });
            assert_eq!(found, expected, "{restarts} {started:?} {finished:?}");
        }
    }

    #[tokio::test]
    async fn log_and_history_date_a_kill_in_a_running_container() {
        let mut snapshot = healthy();
        let container = &mut containers(&mut snapshot)[0];
        (container.oom_killed, container.started_seconds_ago) = (Some(true), Some(9 * DAY));
        for (values, expected) in [([0.0, 1.0], Warning), ([1.0, 1.0], Info)] {
            let history = trends(&snapshot, "containers[web].oom_killed", &values).await;
            assert_eq!(grade_with(&CONTAINER_OOM_KILLED, &snapshot, &history), Some(expected), "{values:?}");
        }
        for (group, seconds_ago, expected) in [
            ("/docker/0123456789abcdef", DAY, Warning),
            ("/system.slice/docker-0123456789abcdef.scope", DAY, Warning),
            ("/docker/0123456789abcdef", DAY + 1, Info),
            ("/docker/0123456789acdef", 5, Info),
        ] {
            let (process, group) = ("python".to_owned(), Some(group.to_owned()));
            let kill = KillInfo { seconds_ago, pid: 7, process, group };
            host(&mut snapshot).kills.logged = Some(vec![kill]);
            assert_eq!(grade(&CONTAINER_OOM_KILLED, &snapshot), Some(expected), "{seconds_ago}");
        }
    }

    #[test]
    fn time_of_a_kill_is_in_the_statement() {
        for (state, started, finished, expected) in [
            ("running", Some(60), None, "within the last hour."),
            ("running", Some(2 * HOUR), None, "within the last day."),
            ("running", Some(2 * DAY), None, "since the container was started."),
            ("exited", None, Some(2 * DAY), "was killed more than a day ago."),
            ("exited", None, None, "at a time that the engine does not report."),
            ("restarting", None, Some(60), "within the last hour, and is being restarted."),
        ] {
            let mut snapshot = healthy();
            let one = &mut containers(&mut snapshot)[0];
            (one.state, one.oom_killed) = (state.into(), Some(true));
            (one.started_seconds_ago, one.finished_seconds_ago) = (started, finished);
            let no_trends = Trends::default();
            let facts = Facts::new(&snapshot, &no_trends);
            let summary = (CONTAINER_OOM_KILLED.check)(&facts).remove(0).finding.summary;
            assert!(summary.ends_with(expected), "{summary}");
        }
    }

    #[test]
    fn many_restarts_are_a_warning_if_the_last_is_recent() {
        for (state, restarts, started, expected) in [
            ("running", Some(3), Some(5), None),
            ("running", Some(4), Some(HOUR), Some(Warning)),
            ("running", Some(4), Some(HOUR + 1), Some(Info)),
            ("running", Some(400), Some(9 * DAY), Some(Info)),
            ("running", Some(400), None, Some(Info)),
            // The engine did not describe it.
            ("running", None, None, None),
            ("restarting", None, None, Some(Info)),
            ("exited", Some(9), Some(5), None),
        ] {
            let found = grade_of(&CONTAINER_RESTARTING, |one| {
                (one.state, one.restarts, one.started_seconds_ago) = (state.into(), restarts, started);
            });
            assert_eq!(found, expected, "{state} {restarts:?} {started:?}");
        }
    }

    #[test]
    fn restart_is_critical_after_another_one() {
        for (restarts, started, finished, expected) in [
            (2, Some(600), Some(5), Critical),
            (2, Some(601), Some(5), Info),
            (1, Some(5), Some(1), Info),
            (0, None, None, Info),
            (4, Some(9 * DAY), Some(HOUR), Warning),
            (4, Some(9 * DAY), Some(HOUR + 1), Info),
            (4, None, None, Info),
        ] {
            let found = grade_of(&CONTAINER_RESTARTING, |one| {
                (one.state, one.restarts) = ("restarting".into(), Some(restarts));
                (one.started_seconds_ago, one.finished_seconds_ago) = (started, finished);
            });
            assert_eq!(found, Some(expected), "{restarts} {started:?} {finished:?}");
        }
    }

    #[tokio::test]
    async fn history_dates_restarts() {
        let restarted = |state: &str, started| {
            let mut snapshot = healthy();
            let one = &mut containers(&mut snapshot)[0];
            (one.state, one.restarts, one.started_seconds_ago) = (state.into(), Some(20), started);
            snapshot
        };
        // Readings every five minutes, the last one five minutes ago.
        let graded = async |snapshot: &Snapshot, readings: &[f64]| {
            let history = trends(snapshot, "containers[web].restarts", readings).await;
            grade_with(&CONTAINER_RESTARTING, snapshot, &history)
        };
        let rising = |first: f64| [vec![first], vec![20.0; 30]].concat();
        let running = restarted("running", Some(9 * DAY));
        assert_eq!(graded(&running, &rising(16.0)).await, Some(Warning), "four within the day");
        assert_eq!(graded(&running, &rising(17.0)).await, Some(Info), "three within the day");
        let by_hand = restarted("running", Some(60));
        assert_eq!(graded(&by_hand, &[20.0, 20.0]).await, Some(Info), "no restart was counted");
        assert_eq!(graded(&by_hand, &[19.0, 20.0]).await, Some(Warning));
        let now = restarted("restarting", None);
        assert_eq!(graded(&now, &[18.0, 18.0]).await, Some(Critical), "two within ten minutes");
        assert_eq!(graded(&now, &[18.0, 19.0, 19.0]).await, Some(Info), "one within ten minutes");
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
