//! Rules about the kernel's limits: processes and threads, inotify, tracked connections, local ports, accept queues.
//!
//! Nothing slows down before such a limit is reached. Then operations fail at once, and mostly with an error that names
//! something else.

use sutazai_core::domain::{KernelLimit, LimitUse, Severity};

use super::bounds::{self, Bounds};
use super::draft::{Draft, Found};
use super::figures::percent;
use super::judged::Judged;
use super::names::{clean_name, path_argument};
use super::rule::{Facts, Rest, Rule};
use super::sustained;
use super::tcp::overflows_now;

/// Used share of a limit in percent; usual thresholds of monitoring checks.
const USED: Bounds = Bounds::new(80.0, 95.0);
/// Used share of the connection tracking table: the node-exporter's well-known alert uses 75 %.
const TRACKED: Bounds = Bounds::new(75.0, 95.0);
/// Number of readings at which an accept queue must be past its bound, because a single burst fills it for a moment.
const QUEUE_READINGS: usize = 2;

/// Remedy and command that show the programs with the most threads.
const THREADS: (&str, &str, &str) = (
    "See which programs have the most threads.",
    "ps -eo nlwp,pid,user,comm --sort=-nlwp | head",
    "Run {command} to see which programs have the most threads, and run it again later to see which grow.",
);
const CANNOT_START: &str = "When the limit is reached, no process or thread can be started.";

/// Reports a control group that is near its limit of processes.
pub(super) const GROUP_TASKS_NEAR_LIMIT: Rule = Rule {
    name: "group_tasks_near_limit",
    title: "Processes of a control group",
    meaning: "Processes and threads of a control group against its `pids.max`, for every group but the one \
              of this process, which `pids_near_limit` judges.",
    conditions: ["", "over 80 %", "over 95 %"],
    source: "Customary bounds of monitoring checks",
    judged: &[Judged::percent("host.limits[group_tasks:<group>].used_percent", USED.levels())],
    needs: &["host.limits[group_tasks]"],
    check: |facts| each(facts, &GROUP_TASKS_NEAR_LIMIT, &GROUP_TEXTS, group),
};

/// Reports a user who is near the limit of processes.
pub(super) const USER_TASKS_NEAR_LIMIT: Rule = Rule {
    name: "user_tasks_near_limit",
    title: "Processes of a user",
    meaning: "Processes and threads of a user other than root against the smallest `RLIMIT_NPROC` of the \
              processes with most threads.",
    conditions: ["", "over 80 %", "over 95 %"],
    source: "Customary bounds of monitoring checks",
    judged: &[Judged::percent("host.limits[user_tasks:<user>].used_percent", USED.levels())],
    needs: &["host.limits[user_tasks]"],
    check: |facts| each(facts, &USER_TASKS_NEAR_LIMIT, &USER_TEXTS, user),
};

/// Reports a machine that is near its limit of processes.
pub(super) const MACHINE_TASKS_NEAR_LIMIT: Rule = Rule {
    name: "machine_tasks_near_limit",
    title: "Processes of the machine",
    meaning: "Processes and threads of the machine against the smaller of `kernel.pid_max` and \
              `kernel.threads-max`.",
    conditions: ["", "over 80 %", "over 95 %"],
    source: "Customary bounds of monitoring checks",
    judged: &[Judged::percent("host.limits[machine_tasks].used_percent", USED.levels())],
    needs: &["host.limits[machine_tasks]"],
    check: |facts| all(facts, &MACHINE_TASKS_NEAR_LIMIT, KernelLimit::MachineTasks, machine),
};

/// Reports a user who is near a limit of inotify.
pub(super) const INOTIFY_NEAR_LIMIT: Rule = Rule {
    name: "inotify_near_limit",
    title: "inotify limits",
    meaning: "inotify instances and watches of a user against `max_user_instances` and `max_user_watches`.",
    conditions: ["", "over 80 %", "over 95 %"],
    source: "Customary bounds of monitoring checks",
    judged: &[
        Judged::percent("host.limits[inotify_instances:<user>].used_percent", USED.levels()),
        Judged::percent("host.limits[inotify_watches:<user>].used_percent", USED.levels()),
    ],
    needs: &["host.limits[inotify_instances]", "host.limits[inotify_watches]"],
    check: |facts| each(facts, &INOTIFY_NEAR_LIMIT, &INOTIFY_TEXTS, inotify),
};

/// Reports a connection tracking table that is nearly full.
pub(super) const CONNECTION_TRACKING_NEAR_LIMIT: Rule = Rule {
    name: "connection_tracking_near_limit",
    title: "Connection tracking",
    meaning: "Entries of the connection tracking table against `nf_conntrack_max`.",
    conditions: ["", "over 75 %", "over 95 %"],
    source: "node-exporter's alerts take 75 %",
    judged: &[Judged::percent("host.limits[tracked_connections].used_percent", TRACKED.levels())],
    needs: &["host.limits[tracked_connections]"],
    check: |facts| all(facts, &CONNECTION_TRACKING_NEAR_LIMIT, KernelLimit::TrackedConnections, tracked),
};

/// Reports many closed connections that wait until their ports may be used again.
pub(super) const TIME_WAIT_NEAR_LIMIT: Rule = Rule {
    name: "time_wait_near_limit",
    title: "Closed connections that wait",
    meaning: "Closed connections that wait, against `tcp_max_tw_buckets`.",
    conditions: ["", "over 80 %", "over 95 %"],
    source: "Customary bounds of monitoring checks",
    judged: &[Judged::percent("host.limits[time_wait_connections].used_percent", USED.levels())],
    needs: &["host.limits[time_wait_connections]"],
    check: |facts| all(facts, &TIME_WAIT_NEAR_LIMIT, KernelLimit::TimeWaitConnections, time_wait),
};

/// Reports that few ports are left for connections to one address.
pub(super) const LOCAL_PORTS_NEAR_LIMIT: Rule = Rule {
    name: "local_ports_near_limit",
    title: "Local ports",
    meaning: "Local ports for outgoing connections (`ip_local_port_range`) in use to one address and port.",
    conditions: ["", "over 80 %", "over 95 %"],
    source: "Customary bounds of monitoring checks",
    judged: &[Judged::percent("host.limits[ephemeral_ports:<address>].used_percent", USED.levels())],
    needs: &["host.limits[ephemeral_ports]"],
    check: |facts| all(facts, &LOCAL_PORTS_NEAR_LIMIT, KernelLimit::EphemeralPorts, ports),
};

/// Reports an accept queue that is nearly full.
pub(super) const LISTEN_QUEUE_FULL: Rule = Rule {
    name: "listen_queue_full",
    title: "Full accept queue",
    meaning: "Connections wait to be accepted on a port, at two readings or more.",
    conditions: [
        "",
        "over 80 % of the backlog",
        "over 95 %, and connections were turned away in the last ten minutes",
    ],
    source: "Customary bounds of monitoring checks",
    judged: &[Judged::percent("host.limits[listen_queue:<port>].used_percent", USED.levels())],
    needs: &["host.limits[listen_queue]"],
    check: |facts| each(facts, &LISTEN_QUEUE_FULL, &QUEUE_TEXTS, queue),
};

/// Returns the uses of these kinds of limits, and counts them as looked at.
fn of<'a>(facts: &Facts<'a>, rule: &Rule, kinds: &[KernelLimit]) -> Vec<&'a LimitUse> {
    let limits = facts.snapshot.host.value().into_iter().flat_map(|host| &host.limits);
    let limits: Vec<&LimitUse> = limits.filter(|one| kinds.contains(&one.limit)).collect();
    if facts.can_run(rule) {
        // A limit of which less than half is used is not listed.
        facts.look_at(limits.len().max(1));
    }
    limits
}

/// Kinds of limits of a rule, and wording of the finding that covers those beyond the maximum.
struct RestTexts {
    kinds: &'static [KernelLimit],
    things: &'static str,
    are: &'static str,
    consequence: &'static str,
    command: (&'static str, &'static str, &'static str),
}

const GROUP_TEXTS: RestTexts = RestTexts {
    kinds: &[KernelLimit::GroupTasks],
    things: "control groups",
    are: "near their limit of processes",
    consequence: "When the limit is reached, no process or thread can be started in the group.",
    command: THREADS,
};
const USER_TEXTS: RestTexts = RestTexts {
    kinds: &[KernelLimit::UserTasks],
    things: "users",
    are: "near their limit of processes",
    consequence: CANNOT_START,
    command: THREADS,
};
const INOTIFY_TEXTS: RestTexts = RestTexts {
    kinds: &[KernelLimit::InotifyInstances, KernelLimit::InotifyWatches],
    things: "limits of inotify",
    are: "nearly used up",
    consequence: NO_MORE_WATCHES,
    command: INOTIFY_LIMITS,
};
const QUEUE_TEXTS: RestTexts = RestTexts {
    kinds: &[KernelLimit::ListenQueue],
    things: "ports",
    are: "slow to accept connections",
    consequence: TURNED_AWAY,
    command: LISTENERS,
};

fn each(
    facts: &Facts<'_>,
    rule: &Rule,
    texts: &RestTexts,
    judge: fn(&Facts<'_>, &LimitUse) -> Option<Found>,
) -> Vec<Found> {
    let limits = of(facts, rule, texts.kinds).into_iter();
    let (text, command, advice) = texts.command;
    let rest = Rest {
        metric: "host.limits",
        things: texts.things,
        are: texts.are,
        consequence: texts.consequence,
        text,
        command,
        advice,
    };
    rule.worst(limits.filter_map(|limit| judge(facts, limit)).collect(), &rest)
}

/// Judges all uses of one kind of limit, of which there are few.
fn all(
    facts: &Facts<'_>,
    rule: &Rule,
    kind: KernelLimit,
    judge: fn(&LimitUse) -> Option<Found>,
) -> Vec<Found> {
    of(facts, rule, &[kind]).into_iter().filter_map(judge).collect()
}

/// Limit past its bound, with the parts of its sentences.
struct Near {
    draft: Draft,
    /// Cleaned name of the limit's owner; empty for the machine.
    of: String,
    /// Used share as text.
    part: String,
}

fn near(rule: &Rule, bounds: Bounds, limit: &LimitUse, resource: impl Fn(&str) -> String) -> Option<Near> {
    let (used, allowed) = (limit.used as f64, limit.allowed as f64);
    let share = bounds::percent(used, allowed);
    let (severity, bound) = bounds.grade(share)?;
    Some(graded(rule, severity, bound, limit, resource))
}

fn graded(
    rule: &Rule,
    severity: Severity,
    bound: f64,
    limit: &LimitUse,
    resource: impl Fn(&str) -> String,
) -> Near {
    let (used, allowed) = (limit.used as f64, limit.allowed as f64);
    let share = bounds::percent(used, allowed);
    let of = limit.of.as_deref().map(clean_name).unwrap_or_default();
    let kind = limit.limit.as_str();
    let path =
        if of.is_empty() { format!("host.limits[{kind}]") } else { format!("host.limits[{kind}:{of}]") };
    let mut draft = Draft::new(rule, severity, resource(&of));
    if !of.is_empty() {
        draft = draft.about(&of);
    }
    let draft = draft
        .judged(format!("{path}.used_percent"), share, "percent", bound)
        .context(format!("{path}.used"), used, "count")
        .context(format!("{path}.allowed"), allowed, "count");
    Near { draft, of, part: percent(share) }
}

fn group(facts: &Facts<'_>, limit: &LimitUse) -> Option<Found> {
    // The group of this process has its own rule, which uses the tightest limit up to the root.
    let own = facts.snapshot.cgroup.value().is_some_and(|own| {
        let above = limit.of.as_deref().is_some_and(|path| is_above(path, &own.path));
        above && own.pids_limit == Some(limit.allowed)
    });
    if own {
        return None;
    }
    let Near { draft, of, part } = near(&GROUP_TASKS_NEAR_LIMIT, USED, limit, |of| format!("group {of}"))?;
    let (used, allowed) = (limit.used, limit.allowed);
    let plain = limit.of.as_deref().and_then(path_argument).map(unit).filter(|unit| is_unit(unit));
    let list = plain.map(|unit| format!("systemd-cgls -u {unit}"));
    let found = draft
        .statements([
            format!("Control group {of} has {used} of the {allowed} processes and threads it may have, which is {part}."),
            format!("In control group {of}, {part} of the allowed processes and threads ({allowed}) are in use."),
        ])
        .consequences(&[
            GROUP_TEXTS.consequence,
            "Programs then report that a resource is temporarily unavailable, although memory is free.",
            "A program that never ends its threads or children is a common cause.",
        ])
        .command(THREADS.0, THREADS.1, THREADS.2)
        .command_if(
            "See the processes of the group.",
            list,
            "Run {command} to see which processes the group has.",
        )
        .remedy("Look for a program in the group that starts too many processes or threads.")
        .advice("Raise the limit of the service (TasksMax) or of the container if it needs this many.")
        .finish(format!("group {of} is near its limit of processes"));
    Some(found)
}

fn is_above(path: &str, own: &str) -> bool {
    let path = path.trim_end_matches('/');
    own == path || own.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
}

/// Returns the last component of the path.
fn unit(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn is_unit(name: &str) -> bool {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "._@-".contains(c));
    plain && !name.starts_with('-') && [".service", ".scope", ".slice"].iter().any(|end| name.ends_with(end))
}

fn user(_: &Facts<'_>, limit: &LimitUse) -> Option<Found> {
    let Near { draft, of, part } = near(&USER_TASKS_NEAR_LIMIT, USED, limit, |of| format!("user {of}"))?;
    let (used, allowed) = (limit.used, limit.allowed);
    let found = draft
        .statements([
            format!("The processes of user {of} have {used} of the {allowed} processes and threads they may have ({part})."),
            format!("With {used} processes and threads, user {of} is at {part} of the limit of {allowed}."),
        ])
        .consequences(&[
            CANNOT_START,
            "The user may not even be able to sign in, since that needs a process as well.",
            "Programs then report that a resource is temporarily unavailable, although memory is free.",
        ])
        .command(
            "See what the user runs.",
            format!("ps -L -U {of} -o pid,nlwp,etime,comm --sort=-nlwp | head -n 30"),
            "Run {command} to see which processes of the user have the most threads.",
        )
        .command(THREADS.0, THREADS.1, THREADS.2)
        .remedy("Look for a program of the user that starts too many processes or threads.")
        .advice("Raise the limit (nproc in limits.conf, or LimitNPROC of the service) if all of them are needed.")
        .finish(format!("user {of} is near the limit of processes"));
    Some(found)
}

fn machine(limit: &LimitUse) -> Option<Found> {
    let Near { draft, part, .. } = near(&MACHINE_TASKS_NEAR_LIMIT, USED, limit, |_| "processes".to_owned())?;
    let (used, allowed) = (limit.used, limit.allowed);
    let found = draft
        .statements([
            format!("The machine has {used} of the {allowed} processes and threads that its kernel allows ({part})."),
            format!("With {used} processes and threads, the machine is at {part} of what its kernel allows."),
        ])
        .consequences(&[
            CANNOT_START,
            "Even signing in needs a new process, so the machine can no longer be looked at.",
            "One program that starts children or threads without end is the usual cause.",
        ])
        .command(THREADS.0, THREADS.1, THREADS.2)
        .command(
            "See the limits of the kernel.",
            "cat /proc/sys/kernel/pid_max /proc/sys/kernel/threads-max",
            "Run {command} to see both limits of the kernel, of which the smaller one counts.",
        )
        .remedy("Stop the program that starts too many processes or threads.")
        .advice("Raise the smaller limit of the kernel if all of them are needed.")
        .finish("the machine is near its limit of processes");
    Some(found)
}

const NO_MORE_WATCHES: &str = "When the limit is reached, programs can no longer watch files for changes.";
const INOTIFY_LIMITS: (&str, &str, &str) = (
    "See the limits of inotify.",
    "grep . /proc/sys/fs/inotify/max_user_instances /proc/sys/fs/inotify/max_user_watches",
    "Run {command} to see how many instances and watches each user may have.",
);

fn inotify(_: &Facts<'_>, limit: &LimitUse) -> Option<Found> {
    let things = match limit.limit {
        KernelLimit::InotifyInstances => "instances",
        KernelLimit::InotifyWatches => "watches",
        _ => return None,
    };
    let Near { draft, of, part } = near(&INOTIFY_NEAR_LIMIT, USED, limit, |of| format!("user {of}"))?;
    let (used, allowed) = (limit.used, limit.allowed);
    let found = draft
        .statements([
            format!("The processes of user {of} have {used} of the {allowed} inotify {things} they may have ({part})."),
            format!("With {used} inotify {things}, user {of} is at {part} of the limit of {allowed}."),
        ])
        .consequences(&[
            NO_MORE_WATCHES,
            "Programs often report this as missing space or too many open files.",
            "Editors, sync programs and services that reload their settings are affected first.",
        ])
        .command(
            "See which processes have inotify instances.",
            "find /proc -maxdepth 3 -path '/proc/[0-9]*/fd/*' -lname anon_inode:inotify",
            "Run {command} as root to see which processes have inotify instances open, by their numbers.",
        )
        .command(INOTIFY_LIMITS.0, INOTIFY_LIMITS.1, INOTIFY_LIMITS.2)
        .remedy("Look for a program that watches more files than it needs, such as whole trees of folders.")
        .advice("Raise the limit (fs.inotify in sysctl.conf) if all of them are needed.")
        .finish(format!("user {of} is near a limit of inotify"));
    Some(found)
}

fn tracked(limit: &LimitUse) -> Option<Found> {
    let Near { draft, part, .. } =
        near(&CONNECTION_TRACKING_NEAR_LIMIT, TRACKED, limit, |_| "connection tracking".to_owned())?;
    let (used, allowed) = (limit.used, limit.allowed);
    let found = draft
        .statements([
            format!(
                "The table of connection tracking holds {used} of at most {allowed} entries, which is {part}."
            ),
            format!("With {used} entries, connection tracking has filled {part} of its table."),
        ])
        .consequences(&[
            "When the table is full, the kernel drops the packets of new connections.",
            "New connections then fail at random, while those that exist go on.",
            "Many short connections or a scan of the network can fill the table.",
        ])
        .command(
            "See how many entries there are and may be.",
            "grep . /proc/sys/net/netfilter/nf_conntrack_count /proc/sys/net/netfilter/nf_conntrack_max",
            "Run {command} a few times to see whether the number of entries still rises.",
        )
        .command(
            "See which addresses have the most connections.",
            "ss -tan state all | tail -n 40",
            "Run {command} to see which addresses have many connections.",
        )
        .remedy("Look for the program or the address that makes so large a number of connections.")
        .advice("Raise the limit (nf_conntrack_max) if the connections are wanted.")
        .finish("connection tracking is nearly full");
    Some(found)
}

const SUMMARY: (&str, &str, &str) = (
    "See how many connections there are in each state.",
    "ss -s",
    "Run {command} to see how many connections are in each state, and run it again later to see which number rises.",
);

fn time_wait(limit: &LimitUse) -> Option<Found> {
    let Near { draft, part, .. } =
        near(&TIME_WAIT_NEAR_LIMIT, USED, limit, |_| "closed connections".to_owned())?;
    let (used, allowed) = (limit.used, limit.allowed);
    let found = draft
        .statements([
            format!("There are {used} closed connections in the state TIME_WAIT, {part} of the {allowed} that may be."),
            format!("With {used} closed connections that still wait, the machine is at {part} of their limit."),
        ])
        .consequences(&[
            "Beyond the limit, the kernel forgets closed connections early, and late packets may disturb new ones.",
            "Many short connections one after the other are the usual cause.",
            "Programs that keep their connections open and use them again avoid this.",
        ])
        .command(SUMMARY.0, SUMMARY.1, SUMMARY.2)
        .command(
            "See where the connections went.",
            "ss -tan state time-wait | tail -n 40",
            "Run {command} to see which addresses the closed connections belong to.",
        )
        .remedy("Have the program that makes these connections keep them open and use them again.")
        .advice("Raise the limit (tcp_max_tw_buckets) if the connections have to be short.")
        .finish("many closed connections still wait");
    Some(found)
}

fn ports(limit: &LimitUse) -> Option<Found> {
    let Near { draft, of, part } =
        near(&LOCAL_PORTS_NEAR_LIMIT, USED, limit, |of| format!("connections to {of}"))?;
    let (used, allowed) = (limit.used, limit.allowed);
    let found = draft
        .statements([
            format!("The connections to {of} use {used} of the {allowed} local ports that there are, which is {part}."),
            format!("With {used} local ports in use, the connections to {of} leave few: {part} are taken."),
        ])
        .consequences(&[
            "When all local ports are in use, no further connection can be made to this address.",
            "A closed connection keeps its local port for another minute.",
            "Many short connections one after the other are the usual cause.",
        ])
        .command(SUMMARY.0, SUMMARY.1, SUMMARY.2)
        .command(
            "See the range of local ports.",
            "cat /proc/sys/net/ipv4/ip_local_port_range",
            "Run {command} to see the first and the last local port that connections may use.",
        )
        .remedy("Have the program that makes these connections keep them open and use them again.")
        .advice("Widen the range of local ports (ip_local_port_range) if it was narrowed.")
        .finish(format!("connections to {of} use up the local ports"));
    Some(found)
}

const TURNED_AWAY: &str = "When the queue is full, the kernel turns further connections away.";
const LISTENERS: (&str, &str, &str) = (
    "See the queues of all listening ports.",
    "ss -ltnp",
    "Run {command} to see which process listens on the port, and how many connections wait in the second column.",
);

fn queue(facts: &Facts<'_>, limit: &LimitUse) -> Option<Found> {
    let share = bounds::percent(limit.used as f64, limit.allowed as f64);
    let (severity, bound) = USED.grade(share)?;
    let series = format!("host.limits[listen_queue:{}].used", limit.of.as_deref().unwrap_or_default());
    let many = bound / 100.0 * limit.allowed as f64;
    let (readings, _) = sustained::run_over(facts, &facts.readings(&series, limit.used as f64), many)?;
    if readings < QUEUE_READINGS {
        return None;
    }
    // A full queue without refused connections does no harm yet.
    let severity = if overflows_now(facts) { severity } else { severity.min(Severity::Warning) };
    let Near { draft, of, part } =
        graded(&LISTEN_QUEUE_FULL, severity, bound, limit, |of| format!("port {of}"));
    let (used, allowed) = (limit.used, limit.allowed);
    let found = draft
        .context(format!("host.limits[listen_queue:{of}].readings"), readings as f64, "count")
        .statements([
            format!("On port {of}, {used} connections wait to be accepted; the queue is made for {allowed} ({part})."),
            format!("The service on port {of} leaves {used} connections waiting, {part} of what its queue is made for."),
        ])
        .consequences(&[
            TURNED_AWAY,
            "Clients wait although the service seems to run.",
            "A service that hangs or has too few workers does not accept its connections in time.",
        ])
        .command(LISTENERS.0, LISTENERS.1, LISTENERS.2)
        .remedy("Check whether the service behind the port hangs, and what it waits for.")
        .advice("Give the service more workers, or raise its backlog if only bursts fill the queue.")
        .finish(format!("connections wait on port {of}"));
    Some(found)
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::EarlierValue;
    use sutazai_core::domain::Severity::{Critical, Warning};

    use super::super::rule::tests::grade;
    use super::super::sample::{cgroup, healthy, host};
    use super::*;

    fn limit(limit: KernelLimit, of: Option<&str>, used: u64) -> LimitUse {
        LimitUse { limit, of: of.map(str::to_owned), used, allowed: 1000 }
    }

    #[test]
    fn shares_of_limits_have_their_bounds() {
        let rules = [
            (&GROUP_TASKS_NEAR_LIMIT, KernelLimit::GroupTasks, Some("/a.slice/b.service"), 800),
            (&USER_TASKS_NEAR_LIMIT, KernelLimit::UserTasks, Some("1000"), 800),
            (&MACHINE_TASKS_NEAR_LIMIT, KernelLimit::MachineTasks, None, 800),
            (&INOTIFY_NEAR_LIMIT, KernelLimit::InotifyInstances, Some("1000"), 800),
            (&INOTIFY_NEAR_LIMIT, KernelLimit::InotifyWatches, Some("1000"), 800),
            (&CONNECTION_TRACKING_NEAR_LIMIT, KernelLimit::TrackedConnections, None, 750),
            (&TIME_WAIT_NEAR_LIMIT, KernelLimit::TimeWaitConnections, None, 800),
            (&LOCAL_PORTS_NEAR_LIMIT, KernelLimit::EphemeralPorts, Some("192.0.2.1:443"), 800),
        ];
        for (rule, kind, of, warning) in rules {
            for (used, expected) in
                [(warning, None), (warning + 1, Some(Warning)), (950, Some(Warning)), (951, Some(Critical))]
            {
                let mut snapshot = healthy();
                host(&mut snapshot).limits = vec![limit(kind, of, used)];
                assert_eq!(grade(rule, &snapshot), expected, "{} {used}", rule.name);
                for (other, ..) in rules.iter().filter(|(other, ..)| other.name != rule.name) {
                    assert_eq!(grade(other, &snapshot), None, "{} of {kind:?}", other.name);
                }
            }
        }
    }

    #[test]
    fn queue_is_critical_if_long_twice_and_rejecting_connections() {
        let tcp = |listen_overflows| {
            let (segments_sent, retransmitted) = (Some(1), Some(0));
            Some(sutazai_core::domain::TcpMetrics {
                segments_sent,
                retransmitted,
                listen_overflows: Some(listen_overflows),
            })
        };
        for (before, used, overflows, expected) in [
            (900.0, 800, 0, None),
            (900.0, 801, 0, Some(Warning)),
            (800.0, 801, 0, None),
            (999.0, 1001, 0, Some(Warning)),
            (999.0, 1001, 1, Some(Critical)),
            (900.0, 940, 1, Some(Warning)),
            (0.0, 1001, 1, None),
        ] {
            let mut snapshot = healthy();
            let machine = host(&mut snapshot);
            machine.limits = vec![limit(KernelLimit::ListenQueue, Some("8080"), used)];
            machine.tcp = tcp(overflows);
            let earlier =
                |series: &str, value| EarlierValue { series: series.into(), seconds_ago: 0.25, value };
            machine.earlier = vec![
                earlier("host.limits[listen_queue:8080].used", before),
                earlier("host.tcp.listen_overflows", 0.0),
            ];
            assert_eq!(grade(&LISTEN_QUEUE_FULL, &snapshot), expected, "{before} {used} {overflows}");
        }
    }

    #[test]
    fn own_group_has_its_own_rule() {
        for (path, allowed, expected) in [
            ("/system.slice/sutazai.service", 1000, None),
            ("/system.slice", 1000, None),
            ("/system.slice/sutazai.service", 2000, Some(Critical)),
            ("/system.slice/sutazai.serviceX", 1000, Some(Critical)),
            ("/other", 1000, Some(Critical)),
        ] {
            let mut snapshot = healthy();
            cgroup(&mut snapshot).pids_limit = Some(1000);
            let used = allowed - 1;
            host(&mut snapshot).limits =
                vec![LimitUse { allowed, ..limit(KernelLimit::GroupTasks, Some(path), used) }];
            assert_eq!(grade(&GROUP_TASKS_NEAR_LIMIT, &snapshot), expected, "{path} {allowed}");
        }
    }

    #[test]
    fn only_plain_units_become_arguments() {
        for (path, named) in [
            ("/system.slice/web.service", true),
            ("/docker/0123", false),
            ("/a/-x.service", false),
            ("/a/b c.service", false),
            ("/a/$(x).service", false),
        ] {
            let mut snapshot = healthy();
            host(&mut snapshot).limits = vec![limit(KernelLimit::GroupTasks, Some(path), 990)];
            let found = (GROUP_TASKS_NEAR_LIMIT.check)(&Facts::new(&snapshot, &Default::default()));
            let commands = found[0].finding.remedies.iter().filter_map(|one| one.command.as_deref());
            assert_eq!(commands.filter(|one| one.contains("systemd-cgls")).count() == 1, named, "{path}");
        }
    }
}
