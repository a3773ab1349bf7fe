//! Disk usage by mount point.
//!
//! The text is written separately from the recorder, which never removes a series: an unmounted disk would keep its
//! last value as if it were still there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use sutazai_core::domain::DiskMetrics;

const METRIC: &str = "disk_usage_percent";

/// Latest usage by mount point.
static LATEST: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());

/// Replaces the previous measurement.
pub(super) fn set(disks: &[DiskMetrics]) {
    let latest = disks.iter().map(|disk| (disk.mount.clone(), disk.used_percent)).collect();
    *LATEST.lock().unwrap_or_else(PoisonError::into_inner) = latest;
}

/// Appends the series of the mounted file systems.
pub(super) fn write(to: &mut String) {
    write_of(&LATEST.lock().unwrap_or_else(PoisonError::into_inner), to);
}

fn write_of(latest: &BTreeMap<String, f64>, to: &mut String) {
    if latest.is_empty() {
        return;
    }
    // Writing to a string cannot fail.
    let _ = writeln!(
        to,
        "# HELP {METRIC} Space of a mounted file system in use, 0 to 100\n# TYPE {METRIC} gauge"
    );
    for (mount, percent) in latest {
        let mount = mount.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = writeln!(to, "{METRIC}{{mount=\"{mount}\"}} {percent}");
    }
    to.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_escaped_and_missing_disks_give_no_series() {
        let mut text = String::new();
        write_of(&BTreeMap::new(), &mut text);
        assert_eq!(text, "");
        write_of(&BTreeMap::from([("/".to_owned(), 41.5), ("/a\"b\\c\nd".to_owned(), 7.0)]), &mut text);
        assert_eq!(
            text,
            "# HELP disk_usage_percent Space of a mounted file system in use, 0 to 100\n\
             # TYPE disk_usage_percent gauge\n\
             disk_usage_percent{mount=\"/\"} 41.5\n\
             disk_usage_percent{mount=\"/a\\\"b\\\\c\\nd\"} 7\n\n"
        );
    }

    #[test]
    fn unmounted_disk_has_no_series() {
        let disk = |mount: &str| DiskMetrics {
            mount: mount.into(),
            device: "/dev/sdb1".into(),
            filesystem: "ext4".into(),
            total_bytes: 100,
            used_bytes: 40,
            available_bytes: 60,
            used_percent: 40.0,
            inodes_used_percent: None,
            read_only: false,
            failed: Some(false),
            deleted_files: None,
        };
        let text = |mounts: &[&str]| {
            set(&mounts.iter().map(|mount| disk(mount)).collect::<Vec<_>>());
            let mut text = String::new();
            write(&mut text);
            text
        };
        assert!(text(&["/", "/mnt/usb"]).contains("/mnt/usb"));
        let after = text(&["/"]);
        assert!(!after.contains("/mnt/usb") && after.contains("{mount=\"/\"} 40"), "{after}");
    }
}
