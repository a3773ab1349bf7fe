//! Faults within control groups.

use super::Scenario;

/// Scenarios about control groups.
pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "process killed at the memory limit of a control group",
    usual: false,
    script: r#"
if [ -d /sys/fs/cgroup/memory ]; then
    group=/sys/fs/cgroup/memory/$NAME limit=memory.limit_in_bytes
else
    group=/sys/fs/cgroup/$NAME limit=memory.max
fi
need mkdir "$group"
trap 'rmdir "$group"' EXIT
[ -e "$group/$limit" ] || cannot "the controller memory is not there"
echo 33554432 >"$group/$limit"
[ -r /dev/kmsg ] || cannot "the log of the kernel cannot be read"
bash -c 'echo $$ >"$0/cgroup.procs"; exec python3 -c "held = bytearray(1 << 28)"' "$group" 2>/dev/null
[ $? = 137 ] || cannot "the process was not killed"
analyze
"#,
    expect: |report| {
        // A machine that has run other tests may have more such groups than a report names.
        let logged = report.json["metrics"]["host"]["value"]["kills"]["logged"].as_array();
        let ours = |kill: &&serde_json::Value| {
            kill["group"].as_str().is_some_and(|group| group.contains("sutazai-injected-"))
        };
        let kill = logged.into_iter().flatten().find(ours).ok_or("the kill is not in the kernel's log")?;
        if kill["process"] != "python3" {
            return Err(format!("another process: {kill}"));
        }
        report.finding("group_oom_kills", &["within the last hour"]).map(drop)
    },
}];
