//! Faults of file systems.

use super::Scenario;

/// Scenarios about file systems.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "file system that the kernel made read-only after an error",
        usual: false,
        script: r#"
ext4 16 broken errors=remount-ro
loop=$(basename "$(findmnt -no SOURCE "$PLACE/broken")")
trigger=/sys/fs/ext4/$loop/trigger_fs_error
[ -w "$trigger" ] || cannot "the kernel has no $trigger"
echo 1 >"$trigger"
touch "$PLACE/broken/x" 2>/dev/null && cannot "the file system is still writable"
analyze
"#,
        expect: |report| {
            let found = report.finding("disk_read_only", &["/broken", "read-only"])?;
            if found["severity"] == "critical" { Ok(()) } else { Err(format!("not critical: {found}")) }
        },
    },
    Scenario {
        name: "file system that is read-only on purpose",
        usual: false,
        script: r#"ext4 16 quiet ro; analyze"#,
        expect: |report| report.lacks("disk_read_only", "/quiet"),
    },
    Scenario {
        name: "deleted file that a process holds open",
        usual: false,
        script: r#"
ext4 64 holds defaults
python3 -c '
import os, sys, time
held = open(sys.argv[1], "wb")
held.write(os.urandom(1 << 20) * 30)
held.flush()
os.fsync(held.fileno())
os.unlink(sys.argv[1])
open(sys.argv[2], "w").close()
time.sleep(60)
' "$PLACE/holds/log" "$PLACE/ready" &
until [ -e "$PLACE/ready" ]; do sleep 0.05; done
analyze
"#,
        expect: |report| {
            let found = report.finding("deleted_files", &["/holds", "30 MiB", "python3"])?;
            if found["severity"] == "info" { Err(format!("only an info: {found}")) } else { Ok(()) }
        },
    },
    Scenario {
        name: "full file system in memory",
        usual: true,
        script: r#"mkdir "$PLACE/mem"; need mount -t tmpfs -o size=8m tmpfs "$PLACE/mem"; fill "$PLACE/mem"; analyze"#,
        expect: |report| {
            report.finding("tmpfs_space", &["/mem", "100 %"])?;
            report.lacks("disk_space", "/mem")
        },
    },
    Scenario {
        name: "full image that is mounted read-only",
        usual: false,
        script: r#"
ext4 8 image defaults 1024
fill "$PLACE/image"
umount "$PLACE/image"
need mount -o loop,ro "$PLACE/image.img" "$PLACE/image"
analyze
"#,
        expect: |report| {
            for rule in ["disk_space", "inodes", "disk_read_only"] {
                report.lacks(rule, "/image")?;
            }
            let critical = report.json["findings"].as_array().into_iter().flatten();
            let critical = critical.filter(|finding| finding["severity"] == "critical").count();
            let level = report.json["priority_level"].as_str().unwrap_or_default();
            let host = &report.json["metrics"]["host"]["value"];
            let busy = [&host["cpu"]["used_percent"], &host["memory"]["used_percent"]];
            let busy = busy.iter().any(|used| used.as_f64().is_some_and(|used| used > 90.0));
            let root = host["disks"].as_array().into_iter().flatten();
            let full = root.filter(|disk| disk["read_only"] == false);
            let full = full.filter_map(|disk| disk["used_percent"].as_f64()).any(|used| used > 90.0);
            if level == "critical" && critical == 0 && !busy && !full {
                return Err("a full read-only image made the level critical".to_owned());
            }
            Ok(())
        },
    },
    Scenario {
        name: "bind mounts, overlays and small images that are read-only",
        usual: true,
        script: r#"
mkdir "$PLACE"/{image,bound,lower,merged}
need mount -t tmpfs -o size=1m tmpfs "$PLACE/image"
fill "$PLACE/image"
need mount -o remount,ro "$PLACE/image"
need mount --bind "$PLACE/data" "$PLACE/bound"
need mount -o remount,ro,bind "$PLACE/bound"
need mount -t overlay -o "lowerdir=$PLACE/lower:$PLACE/data" overlay "$PLACE/merged"
analyze
"#,
        expect: |report| {
            for place in ["/image", "/bound", "/merged"] {
                for rule in ["disk_read_only", "disk_space", "tmpfs_space", "inodes", "mount_unanswered"] {
                    report.lacks(rule, place)?;
                }
            }
            Ok(())
        },
    },
];
