//! Faults that once ended or blocked the analyzer itself.

use super::{Report, Scenario};

/// Scenarios about the analyzer.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "nothing is wrong",
        usual: true,
        script: "analyze",
        expect: |report| {
            report.measured("host")?;
            for rule in ["mount_unanswered", "disk_read_only", "deleted_files", "tmpfs_space"] {
                if !report.findings(rule).is_empty() {
                    return Err(format!("a false finding: {:?}", report.findings(rule)));
                }
            }
            let notes = report.json["notes"].as_array().map_or(0, Vec::len);
            if notes > 0 || !report.errors.is_empty() {
                return Err(format!("notes without a fault: {} {}", report.json["notes"], report.errors));
            }
            Ok(())
        },
    },
    Scenario {
        name: "data folder on a full disk, no database yet",
        usual: true,
        script: r#"need mount -t tmpfs -o size=1m tmpfs "$PLACE/data"; fill "$PLACE/data"; analyze"#,
        expect: history_is_not_used,
    },
    Scenario {
        // Blocks smaller than a page: SQLite extends the index of its log, and the kernel has no space for
        // its pages.
        name: "data folder on a full disk, index of a killed process",
        usual: false,
        script: r#"
ext4 8 data defaults 1024
python3 -c '
import os, signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("pragma journal_mode=wal")
database.execute("create table t(x)")
database.commit()
os.kill(os.getpid(), signal.SIGKILL)' "$PLACE/data/sutazai.db"
fill "$PLACE/data"
analyze
"#,
        expect: history_is_not_used,
    },
    Scenario {
        name: "data folder on a read-only file system",
        usual: true,
        script: r#"need mount -t tmpfs -o size=1m,ro tmpfs "$PLACE/data"; analyze"#,
        expect: |report| {
            report.measured("host")?;
            report.notes(&["history", "sutazai.db"])
        },
    },
    Scenario {
        name: "mount that reads requests and answers none",
        usual: false,
        script: "hang /dev/fuse; analyze",
        expect: mount_is_named,
    },
    Scenario {
        name: "mount of a block device that answers none",
        usual: false,
        script: "hang /dev/sdz1; analyze",
        expect: mount_is_named,
    },
    Scenario {
        name: "mount of which nobody reads requests",
        usual: false,
        script: "mount_fuse /dev/fuse; analyze",
        expect: mount_is_named,
    },
    Scenario {
        name: "data folder on a mount that hangs",
        usual: false,
        script: r#"hang /dev/fuse; analyze DATABASE_URL="sqlite://$PLACE/hung/sutazai.db""#,
        expect: |report| {
            mount_is_named(report)?;
            report.notes(&["history", "did not answer"])
        },
    },
    Scenario {
        name: "server that is told to end while there is a mount that hangs",
        usual: false,
        script: r#"
hang /dev/fuse
"$SUTAZAI" serve --listen 127.0.0.1:0 --workers 1 2>"$PLACE/log" 3>&- &
server=$!
until grep -q "server listening" "$PLACE/log"; do kill -0 $server || { cat "$PLACE/log" >&2; exit 1; }; sleep 0.05; done
# Its metric history takes the first snapshot at once.
sleep 1
kill -TERM $server
for _ in $(seq 100); do kill -0 $server 2>/dev/null || break; sleep 0.1; done
kill -0 $server 2>/dev/null && { echo "the server did not end within 10 s" >&2; exit 1; }
analyze
"#,
        expect: mount_is_named,
    },
    Scenario {
        name: "Docker engine that accepts and never answers",
        usual: true,
        script: r#"silent_docker; analyze DOCKER_HOST="unix://$PLACE/docker.sock""#,
        expect: |report| {
            report.measured("host")?;
            report.missing("containers", &["did not answer within"])
        },
    },
    Scenario {
        name: "files under /proc that cannot be read",
        usual: true,
        script: "for file in stat meminfo vmstat; do hide /proc/$file; done; analyze",
        expect: |report| {
            report.lacks_figure("host", "host.cpu.used_percent", "/proc/stat")?;
            report.lacks_figure("host", "host.memory.used_percent", "/proc/meminfo")?;
            report.lacks_figure("host", "host.memory.oom_kills", "/proc/vmstat")?;
            let host = &report.json["metrics"]["host"]["value"];
            let count = host["processes"]["count"].as_u64().unwrap_or(0);
            let kept = count > 0 && host["disks"].as_array().is_some_and(|disks| !disks.is_empty());
            if kept { Ok(()) } else { Err(format!("other figures are lost: {host}")) }
        },
    },
    Scenario {
        // A kernel may be started without pressure stall information.
        name: "one file of the pressure that cannot be read",
        usual: false,
        script: "hide /proc/pressure/memory; analyze",
        expect: |report| {
            report.lacks_figure("pressure", "pressure.memory", "/proc/pressure/memory")?;
            let io = &report.json["metrics"]["pressure"]["value"]["io"];
            if io.is_object() { Ok(()) } else { Err(format!("other figures are lost: {io}")) }
        },
    },
    Scenario {
        name: "temperature sensor that does not respond",
        usual: true,
        script: "silent_sensor; analyze",
        expect: |report| {
            report.lacks_figure("host", "host.temperatures", "temp1_input did not answer within")
        },
    },
    Scenario {
        name: "mount, sensor, data folder and Docker engine that hang together",
        usual: false,
        script: r#"
silent_docker
hang /dev/fuse
silent_sensor
analyze DOCKER_HOST="unix://$PLACE/docker.sock" DATABASE_URL="sqlite://$PLACE/hung/sutazai.db"
"#,
        expect: |report| {
            mount_is_named(report)?;
            report.lacks_figure("host", "host.temperatures", "did not answer within")?;
            report.missing("containers", &["did not answer within"])?;
            report.notes(&["history", "did not answer"])
        },
    },
    Scenario {
        name: "no thread can be started (pids.max)",
        usual: false,
        script: r#"
group=/sys/fs/cgroup/pids
[ -d "$group" ] || group=/sys/fs/cgroup
[ -w "$group/cgroup.procs" ] || cannot "no control group of version 1 or 2 can be made"
group=$group/$NAME
need mkdir "$group"
[ -e "$group/pids.max" ] || cannot "the controller pids is not there"
echo 1 >"$group/pids.max"
AS=(bash -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$group")
analyze
"#,
        expect: without_threads,
    },
    Scenario {
        name: "no thread can be started (ulimit -u)",
        usual: true,
        script: r#"
mkdir "$PLACE/bin"
mount --bind "$(dirname "$SUTAZAI")" "$PLACE/bin"
SUTAZAI=$PLACE/bin/$(basename "$SUTAZAI")
export LD_LIBRARY_PATH=$PLACE/bin/sutazai-native
chmod 755 "$PLACE"
chown 54321 "$PLACE/data"
AS=(setpriv --reuid=54321 --regid=54321 --clear-groups bash -c 'ulimit -u 1; exec "$@"' -)
"${AS[@]}" "$SUTAZAI" serve --listen 127.0.0.1:0 2>"$PLACE/log"
[ $? = 3 ] && grep -q "no thread can be started" "$PLACE/log" && ! grep -q panicked "$PLACE/log" ||
    { echo "the server ended otherwise: $(cat "$PLACE/log")" >&2; exit 1; }
analyze
"#,
        expect: without_threads,
    },
];

fn history_is_not_used(report: &Report) -> Result<(), String> {
    report.measured("host")?;
    report.notes(&["history", "full"])
}

fn mount_is_named(report: &Report) -> Result<(), String> {
    report.measured("host")?;
    report.finding("mount_unanswered", &["/hung", "did not answer"])?;
    let disks = report.json["metrics"]["host"]["value"]["disks"].as_array().map_or(0, Vec::len);
    if disks == 0 { Err("the other file systems were not measured".to_owned()) } else { Ok(()) }
}

fn without_threads(report: &Report) -> Result<(), String> {
    for section in ["host", "pressure", "cgroup"] {
        let section = &report.json["metrics"][section];
        let reason = section["reason"].as_str().unwrap_or_default();
        if reason.contains("thread") {
            return Err(format!("not measured for want of a thread: {section}"));
        }
    }
    report.measured("host")?;
    report.notes(&["history"])
}
