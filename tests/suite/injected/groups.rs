//! Faults within control groups.
//!
//! A script sets the limit of a control group of version 1 or 2, whichever this machine has, and the guard removes the
//! group afterwards.

use super::{Report, Scenario};

/// Creates the control group `$group` with the limit `$1` of its memory, and without swap space.
macro_rules! memory_group {
    () => {
        r#"
memory_group() {
    if [ -d /sys/fs/cgroup/memory ]; then
        group=/sys/fs/cgroup/memory/$NAME limit=memory.limit_in_bytes swap=memory.swappiness
    else
        group=/sys/fs/cgroup/$NAME limit=memory.max swap=memory.swap.max
    fi
    need mkdir "$group"
    [ -e "$group/$limit" ] || cannot "the controller memory is not there"
    echo "$1" >"$group/$limit"
    [ ! -e "$group/$swap" ] || echo 0 >"$group/$swap"
}
"#
    };
}

/// Runs the rest of a script with the control group `$group`, which gets half of a processor while a child needs all
/// of one, and runs `analyze` in it.
///
/// The group comes before all others that want the processors, so that it needs more than its limit on a busy machine
/// too. Its periods are of 10 ms, so that a second has a hundred of them.
macro_rules! throttled_group {
    ($limit:literal) => {
        concat!(
            $limit,
            r#"
AS=(bash -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$group")
timeout 50 "${AS[@]}" nice -n 19 python3 -c 'while True: pass' &
# The history dates the throttling: it needs two earlier readings.
for _ in 1 2 3; do
    sleep 2
    analyze
done
"#
        )
    };
}

/// Creates a control group with this limit of processors, in thousandths, and a function that joins it.
macro_rules! limited {
    ($limit:literal) => {
        concat!(
            "limit=",
            $limit,
            r#"
if [ -e /sys/fs/cgroup/cpu/cpu.cfs_quota_us ]; then
    groups="/sys/fs/cgroup/cpu/$NAME /sys/fs/cgroup/cpuacct/$NAME"
    for group in $groups; do [ -d "$group" ] || need mkdir "$group"; done
    echo "${limit}00" >"/sys/fs/cgroup/cpu/$NAME/cpu.cfs_quota_us"
    # On a busy machine the group gets the time that it may use.
    echo 100000 >"/sys/fs/cgroup/cpu/$NAME/cpu.shares"
else
    groups=/sys/fs/cgroup/$NAME
    need mkdir "$groups"
    [ -e "$groups/cpu.max" ] || { rmdir "$groups"; cannot "the controller cpu is not there"; }
    echo "${limit}00 100000" >"$groups/cpu.max"
    echo 10000 >"$groups/cpu.weight"
fi
join() { for group in $groups; do echo "$BASHPID" >"$group/cgroup.procs"; done; }
# A group can be removed once its processes have been waited for.
trap 'kill $(jobs -p) 2>/dev/null; wait; for group in $groups; do [ ! -d "$group" ] || rmdir "$group"; done' EXIT
"#
        )
    };
}

/// Scenarios about control groups.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a control group that is throttled now, without history",
        usual: false,
        script: concat!(
            limited!("500"),
            r#"
for _ in 1 2 3 4; do ( join; exec nice -n 5 timeout 40 sh -c 'while :; do :; done' ) & done
sleep 0.5
( join; analyze )
"#
        ),
        expect: |report| {
            let found = report.finding("cpu_throttled", &["0.5 cores", "in the last"])?;
            if found["severity"] == "warning" { Ok(()) } else { Err(format!("no warning: {found}")) }
        },
    },
    Scenario {
        name: "an idle control group with a low limit of processors",
        usual: false,
        script: concat!(limited!("300"), "( join; analyze )\n"),
        expect: |report| report.lacks("cpu_throttled", ""),
    },
    Scenario {
        name: "process killed at the memory limit of a control group",
        usual: false,
        script: concat!(
            memory_group!(),
            r#"
[ -r /dev/kmsg ] || cannot "the log of the kernel cannot be read"
memory_group 33554432
bash -c 'echo $$ >"$0/cgroup.procs"; exec python3 -c "held = bytearray(1 << 28)"' "$group" 2>/dev/null
[ $? = 137 ] || { echo "the process was not killed" >&2; exit 1; }
analyze
"#
        ),
        expect: |report| {
            // A machine that has run other tests may have more such groups than a report names.
            let logged = report.json["metrics"]["host"]["value"]["kills"]["logged"].as_array();
            let ours = |kill: &&serde_json::Value| {
                kill["group"].as_str().is_some_and(|group| group.contains("sutazai-injected-"))
            };
            let kill =
                logged.into_iter().flatten().find(ours).ok_or("the kill is not in the kernel's log")?;
            if kill["process"] != "python3" {
                return Err(format!("another process: {kill}"));
            }
            report.finding("group_oom_kills", &["within the last hour"]).map(drop)
        },
    },
    Scenario {
        name: "process killed at the limit of the analyzer's own group",
        usual: false,
        script: concat!(
            memory_group!(),
            r#"
memory_group 536870912
AS=(bash -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$group")
"${AS[@]}" python3 -c 'held = bytearray(1 << 30)' 2>/dev/null
[ $? = 137 ] || { echo "the process was not killed" >&2; exit 1; }
analyze
"#
        ),
        expect: |report| {
            report.finding("cgroup_oom_kills", &["1 process", "within the last hour"])?;
            // Each kill is told once: not as one of the machine, nor as one of another group.
            let path = report.json["metrics"]["cgroup"]["value"]["path"].as_str().unwrap_or_default();
            report.lacks("oom_kills", "within the last hour")?;
            report.lacks("group_oom_kills", path)
        },
    },
    Scenario {
        name: "control group of version 1 that is throttled now",
        usual: false,
        script: throttled_group!(
            r#"
[ -w /sys/fs/cgroup/cpu/cgroup.procs ] || cannot "no control group of version 1 has the controller cpu"
group=/sys/fs/cgroup/cpu/$NAME
need mkdir "$group"
[ -w "$group/cpu.cfs_quota_us" ] || cannot "the kernel cannot limit processors (CFS_BANDWIDTH)"
echo 262144 >"$group/cpu.shares"
echo 10000 >"$group/cpu.cfs_period_us"
echo 5000 >"$group/cpu.cfs_quota_us" || exit 1
"#
        ),
        expect: is_throttled,
    },
    Scenario {
        name: "control group of version 2 that is throttled now",
        usual: false,
        script: throttled_group!(
            r#"
grep -qsw cpu /sys/fs/cgroup/cgroup.subtree_control ||
    cannot "no control group of version 2 has the controller cpu"
group=/sys/fs/cgroup/$NAME
need mkdir "$group"
[ -w "$group/cpu.max" ] || cannot "the kernel cannot limit processors (CFS_BANDWIDTH)"
echo 10000 >"$group/cpu.weight"
echo 5000 10000 >"$group/cpu.max" || exit 1
"#
        ),
        expect: is_throttled,
    },
];

fn is_throttled(report: &Report) -> Result<(), String> {
    let found = report.finding("cpu_throttled", &["processor limit of 0.5 cores", "in the last"])?;
    if found["severity"] == "info" { Err(format!("it lasts: {found}")) } else { Ok(()) }
}
