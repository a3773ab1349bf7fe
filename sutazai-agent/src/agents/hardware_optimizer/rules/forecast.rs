//! The rule of a file system that will be full soon.

use chrono::TimeDelta;
use sutazai_core::domain::{DiskMetrics, Severity};

use super::disk::{SHOW_SPACE, WRITES_FAIL, each, largest_folders, on, own_name, path, rest, title};
use super::draft::Found;
use super::figures::{bytes, hours, percent};
use super::names::path_argument;
use super::rule::{Facts, Rule};

/// Hours until full: the forecasts of the node-exporter's well-known alerts (a day, four hours).
const FULL_SOON: f64 = 24.0;
const FULL_NOW: f64 = 4.0;
/// The time that those forecasts look at.
const TREND_SPAN: TimeDelta = TimeDelta::hours(6);
/// How well a straight line must fit before its end is reported; our choice.
const FIT: f64 = 0.8;
/// Below that share of used space a forecast is left out: files just written are no trend to full; our choice.
const TREND_FROM_PERCENT: f64 = 50.0;

/// A file system will be full soon if it goes on like this.
pub(super) const DISK_TREND_FULL: Rule = Rule {
    name: "disk_trend_full",
    check: |facts| each(facts, &DISK_TREND_FULL, &rest("filling up", WRITES_FAIL, SHOW_SPACE), trend),
};

fn trend(facts: &Facts<'_>, disk: &DiskMetrics) -> Option<Found> {
    let growth = facts.trends.growth(&format!("host.disks[{}].used_bytes", disk.mount), TREND_SPAN)?;
    if disk.read_only || growth.per_hour <= 0.0 || growth.fit < FIT || disk.used_percent <= TREND_FROM_PERCENT
    {
        return None;
    }
    let left = disk.available_bytes as f64 / growth.per_hour;
    let (severity, bound, within, urgency) = match left {
        left if left < FULL_NOW => (
            Severity::Critical,
            FULL_NOW,
            "within hours",
            "Little time is left to make space or to stop the growth.",
        ),
        left if left < FULL_SOON => (
            Severity::Warning,
            FULL_SOON,
            "within a day",
            "There is still time to find the cause before the space is used up.",
        ),
        _ => return None,
    };
    let (title, own) = (title(disk), own_name(disk));
    let (rate, time, used) = (bytes(growth.per_hour), about(left), percent(disk.used_percent));
    let found = on(&DISK_TREND_FULL, severity, disk)
        .judged(path(disk, "hours_until_full"), left, "hours", bound)
        .context(path(disk, "growth_per_hour"), growth.per_hour, "bytes")
        .context(path(disk, "used_percent"), disk.used_percent, "percent")
        .statements([
            format!("{title} grows by {rate} an hour and will be full in {time} at this rate."),
            format!("{title} is {used} full and will be full in {time} if it keeps growing by {rate} an hour."),
            format!("At {rate} an hour, the space on {own} lasts for {time}."),
        ])
        .consequences(&[
            WRITES_FAIL,
            urgency,
            "Steady growth often comes from a log, a queue or backups that are never cleaned up.",
        ])
        .command_if(
            "Find large files that were written within the last hour.",
            lately_written(disk),
            "Run {command} to find large files that were written within the last hour.",
        )
        .command_if(
            "See which folders take the most space.",
            largest_folders(disk),
            "Run {command} to see which folders take the most space, and run it again later to see which ones grow.",
        )
        .remedy("Stop or limit what writes this much, such as a log that is not rotated.")
        .advice("Make space or enlarge the file system if the growth is expected.")
        .finish(format!("{own} will be full {within} at this rate"));
    Some(found)
}

/// The time in words, for the middle of a sentence.
fn about(left: f64) -> String {
    if left * 60.0 < 1.0 { "less than a minute".to_owned() } else { format!("about {}", hours(left)) }
}

fn lately_written(disk: &DiskMetrics) -> Option<String> {
    path_argument(&disk.mount).map(|mount| format!("find {mount} -xdev -type f -mmin -60 -size +10M"))
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Warning};

    use super::super::disk::tests::with;
    use super::super::rule::tests::grade_with;
    use super::super::trends::Trends;
    use super::super::trends::tests::trends;
    use super::*;

    #[tokio::test]
    async fn a_steady_rise_is_reported_in_hours() {
        const MIB: f64 = 1_048_576.0;
        // An hour of steady growth by 12 MiB each five minutes: 144 MiB an hour.
        let rising: Vec<f64> = (0..13).map(|n| 1e9 + f64::from(n) * 12.0 * MIB).collect();
        for (hours_left, expected) in
            [(24.0, None), (23.9, Some(Warning)), (4.0, Some(Warning)), (3.9, Some(Critical))]
        {
            let snapshot = with(|disk| {
                disk.used_percent = 60.0;
                disk.available_bytes = (hours_left * 144.0 * MIB).round() as u64;
            });
            let history = trends(&snapshot, "host.disks[/].used_bytes", &rising).await;
            assert_eq!(grade_with(&DISK_TREND_FULL, &snapshot, &history), expected, "{hours_left}");
            let none = Trends::default();
            assert_eq!(grade_with(&DISK_TREND_FULL, &snapshot, &none), None, "no history");
            let saw: Vec<f64> = (0..13).map(|n| 1e9 + f64::from(n % 3) * 40.0 * MIB).collect();
            let history = trends(&snapshot, "host.disks[/].used_bytes", &saw).await;
            assert_eq!(grade_with(&DISK_TREND_FULL, &snapshot, &history), None, "no straight line");
        }
        // A line with a saw upon it: it fits with 0.8045 and 0.796.
        for (saw, expected) in [(1.85, Some(Critical)), (1.90, None)] {
            let snapshot = with(|disk| (disk.used_percent, disk.available_bytes) = (60.0, 1 << 20));
            let tooth = |n: u32| if n.is_multiple_of(2) { saw } else { -saw };
            let uneven: Vec<f64> = (0..13).map(|n| 1e9 + (f64::from(n) + tooth(n)) * MIB).collect();
            let history = trends(&snapshot, "host.disks[/].used_bytes", &uneven).await;
            assert_eq!(grade_with(&DISK_TREND_FULL, &snapshot, &history), expected, "{saw}");
        }
        for (used, expected) in [(50.0, None), (50.1, Some(Critical))] {
            let snapshot = with(|disk| (disk.used_percent, disk.available_bytes) = (used, 1 << 20));
            let history = trends(&snapshot, "host.disks[/].used_bytes", &rising).await;
            assert_eq!(grade_with(&DISK_TREND_FULL, &snapshot, &history), expected, "{used}");
        }
    }
}
