//! Faults of processes of the machine.

use super::Scenario;

/// Scenarios with faults of processes.
pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "processes that are blocked by a file system that hangs",
    usual: false,
    // The first of them waits for an answer, and the others for the lock of the folder that it holds.
    script: r#"
hang /dev/fuse
for name in $(seq 9); do
    cat "$PLACE/hung/$name" 3>&- &
done
for _ in $(seq 100); do
    [ "$(ps -eo state= | grep -c D)" -ge 8 ] && break
    sleep 0.1
done
analyze
"#,
    expect: |report| {
        let found = report.finding("blocked_processes", &["blocked in the kernel"])?;
        let blocked = found["evidence"][0]["value"].as_f64().unwrap_or_default();
        // Those of `cat`, and perhaps the process that asks the mount for its size.
        if (8.0..=10.0).contains(&blocked) { Ok(()) } else { Err(format!("{blocked} are blocked")) }
    },
}];
