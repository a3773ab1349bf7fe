//! The process that runs a scenario's script and puts back what the script changed outside its namespaces.
//!
//! The guard holds a pipe from the test. When the test is killed, the kernel closes the pipe; the guard then kills the
//! script and restores everything as after a normal end. It is in a process group of its own, so that a signal to the
//! group of the test (Ctrl-C in a terminal) does not reach it.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Settings of the kernel that scripts change. They hold for the whole machine.
const SETTINGS: &str = "/proc/sys/vm/nr_hugepages";

/// Script of the guard: the arguments are the command that runs the scenario, `$SETTINGS` are files that it may write,
/// and `$NAME` is the name of its control groups.
const SCRIPT: &str = r#"
declare -A before
for setting in $SETTINGS; do
    [ -w "$setting" ] && before[$setting]=$(cat "$setting")
done
# Only the scenario writes to the test: a message of this shell to a test that is dead would end it.
exec 8>&2 2>/dev/null 9<&0
"$@" </dev/null 2>&8 8>&- 9<&- &
scenario=$!
{
    read -r _ <&9
    kill -KILL "$scenario"
    # In a frozen group of version 1, processes cannot even be killed.
    echo THAWED >"/sys/fs/cgroup/freezer/$NAME/freezer.state"
} 8>&- &
watch=$!
wait "$scenario"
code=$?
kill "$watch"
for setting in "${!before[@]}"; do
    [ "$(cat "$setting")" = "${before[$setting]}" ] || echo "${before[$setting]}" >"$setting"
done
for group in "/sys/fs/cgroup/$NAME" /sys/fs/cgroup/*/"$NAME"; do
    # Processes that have just ended keep their group busy for a moment.
    for _ in $(seq 100); do
        [ -d "$group" ] || break
        rmdir "$group" || sleep 0.05
    done
done
exit $code
"#;

/// Builds a command that runs a Bash script in a mount and a process namespace, which end with it.
pub(super) fn unshared(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", script]);
    command
}

/// Running scenario under its guard.
pub(super) struct Guard {
    child: Child,
}

impl Guard {
    /// Starts the command of a scenario, with its environment and nothing else of the test's.
    pub(super) fn start(command: &Command) -> Self {
        Self::with_settings(command, SETTINGS)
    }

    fn with_settings(command: &Command, settings: &str) -> Self {
        let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let child = Command::new("bash")
            .args(["-c", SCRIPT, "guard"])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs(variables)
            .env("SETTINGS", settings)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child }
    }

    /// Waits for the end; after `limit`, the scenario is killed. What it changed is restored when this returns.
    pub(super) fn output(mut self, limit: Duration) -> Output {
        let begun = Instant::now();
        while begun.elapsed() < limit && self.child.try_wait().unwrap().is_none() {
            #[allow(clippy::disallowed_methods)] // another program's time
            std::thread::sleep(Duration::from_millis(20));
        }
        // Closes the pipe, too.
        self.child.wait_with_output().unwrap()
    }
}

#[test]
fn setting_is_restored_when_the_test_ends_before_its_scenario() {
    use crate::support::{HANG_LIMIT, Place};
    let place = Place::new();
    let [setting, changed] = ["setting", "changed"].map(|name| place.path(name));
    std::fs::write(&setting, "before\n").unwrap();
    let mut command = Command::new("bash");
    let script = r#"echo during >"$PLACE/setting"; : >"$PLACE/changed"; exec sleep 1000"#;
    command.args(["-c", script]).env("PLACE", place.path("")).envs(place.settings()).env("NAME", "none");
    let guard = Guard::with_settings(&command, setting.to_str().unwrap());
    let begun = Instant::now();
    while !changed.exists() {
        assert!(begun.elapsed() < HANG_LIMIT, "the scenario must start");
        std::thread::yield_now();
    }
    assert_eq!(std::fs::read_to_string(&setting).unwrap(), "during\n");
    // As when the test is killed: all its pipes are closed.
    let mut child = guard.child;
    drop((child.stdin.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(137), "killed");
    assert_eq!(std::fs::read_to_string(&setting).unwrap(), "before\n");
}
