//! Rule about a file system that will be full soon.

use chrono::TimeDelta;
use sutazai_core::domain::{DiskMetrics, Severity};

use super::disk::{SHOW_SPACE, WRITES_FAIL, each, largest_folders, on, own_name, path, rest, title};
use super::draft::Found;
use super::figures::{bytes, hours, percent, rate};
use super::judged::{Judged, Levels};
use super::names::path_argument;
use super::rule::{Facts, Rule};
use super::trends::Growth;

/// Hours until full for a warning and a critical finding, by the history that the forecast is based on.
///
/// From an hour of history, the forecasts of the node-exporter's well-known alerts (a day, four hours). The shorter the
/// history, the shorter the forecast; those from minutes and from seconds are our choice.
const FROM_HOURS: [f64; 2] = [24.0, 4.0];
const FROM_MINUTES: [f64; 2] = [4.0, 1.0];
const FROM_SECONDS: [f64; 2] = [0.25, 1.0 / 12.0];
/// Minimum history in hours for the first and for the second of these.
const MIN_LONG_HISTORY_HOURS: f64 = 1.0;
const MIN_MEDIUM_HISTORY_HOURS: f64 = 2.0 / 60.0;
/// Period that the node-exporter's forecasts are based on.
const TREND_WINDOW: TimeDelta = TimeDelta::hours(6);
/// Minimum fit of a straight line for its end to be reported; our choice.
const MIN_FIT: f64 = 0.8;
/// Used share in percent below which a forecast of hours is left out: a few files just written are no trend. Our
/// choice.
const MIN_USED_PERCENT: f64 = 50.0;
/// Hours until full below which a forecast is reported however little space is used.
const ALWAYS_REPORTED_HOURS: f64 = 1.0;

/// Reports a file system that will be full soon at its current growth.
pub(super) const DISK_TREND_FULL: Rule = Rule {
    name: "disk_trend_full",
    title: "Disk filling up",
    meaning: "The straight line through the used bytes ends soon: those of the last six hours, or of the \
              longest time before now in which they lie on a line (R² of 0.8; with fewer than a dozen \
              readings, each step at least half of the mean one). Three readings suffice. Disks under 50 % \
              are left out unless they will be full within the hour.",
    conditions: [
        "",
        "full within 24 hours after an hour of history, 4 hours after two minutes, 15 minutes after less",
        "within 4 hours, 1 hour, 5 minutes",
    ],
    source: "The forecasts of node-exporter's alerts (24 and 4 hours, from the last 6); the shorter ones, \
             fit and start are ours",
    judged: &[Judged::below(
        "host.disks[<mount>].hours_until_full",
        "hours",
        Levels::NONE.warning(FROM_HOURS[0]).critical(FROM_HOURS[1]),
    )],
    needs: &["host.disks"],
    check: |facts| each(facts, &DISK_TREND_FULL, &rest("filling up", WRITES_FAIL, SHOW_SPACE), trend),
};

/// Returns the hours until full for a warning and for a critical finding, after `observed` hours of growth.
fn horizons(observed: f64) -> [f64; 2] {
    match observed {
        hours if hours >= MIN_LONG_HISTORY_HOURS => FROM_HOURS,
        hours if hours >= MIN_MEDIUM_HISTORY_HOURS => FROM_MINUTES,
        _ => FROM_SECONDS,
    }
}

fn trend(facts: &Facts<'_>, disk: &DiskMetrics) -> Option<Found> {
    if disk.read_only {
        return None;
    }
    let end = |growth: &Growth| disk.available_bytes as f64 / growth.per_hour;
    let ends_soon = |growth: &Growth| {
        let [warning, _] = horizons(growth.hours);
        let many_or_soon = disk.used_percent > MIN_USED_PERCENT || end(growth) < ALWAYS_REPORTED_HOURS;
        growth.is_steady(MIN_FIT) && end(growth) < warning && many_or_soon
    };
    let series = format!("host.disks[{}].used_bytes", disk.mount);
    let growth = facts.growth(&series, disk.used_bytes as f64, TREND_WINDOW, ends_soon)?;
    let left = end(&growth);
    let [warning, critical] = horizons(growth.hours);
    let (severity, bound, urgency) = if left < critical {
        (Severity::Critical, critical, "Little time is left to make space or to stop the growth.")
    } else {
        (Severity::Warning, warning, "There is still time to find the cause before the space is used up.")
    };
    let within = match left {
        left if left < 1.0 => "within the hour",
        left if left < FROM_HOURS[1] => "within hours",
        _ => "within a day",
    };
    let (title, own) = (title(disk), own_name(disk));
    let (rate, time, used) = (rate_of(&growth, left), about(left), percent(disk.used_percent));
    let observed = hours(growth.hours);
    let found = on(&DISK_TREND_FULL, severity, disk)
        .judged(path(disk, "hours_until_full"), left, "hours", bound)
        .context(path(disk, "growth_per_hour"), growth.per_hour, "bytes")
        .context(path(disk, "growth_per_second"), growth.per_hour / 3600.0, "bytes/s")
        .context(path(disk, "observed_hours"), growth.hours, "hours")
        .context(path(disk, "used_percent"), disk.used_percent, "percent")
        .statements([
            format!("{title} grows by {rate}, measured over {observed}, and will be full in {time} at this rate."),
            format!("{title} is {used} full and will be full in {time} if it keeps growing as it did for {observed}."),
            format!("At {rate}, as measured over {observed}, the space on {own} lasts for {time}."),
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

/// Formats a time in words, for the middle of a sentence.
pub(super) fn about(left: f64) -> String {
    if left * 3600.0 < 1.0 { "less than a second".to_owned() } else { format!("about {}", hours(left)) }
}

/// Formats the growth rate, per second if the space is used up within the hour.
fn rate_of(growth: &Growth, left: f64) -> String {
    if left < ALWAYS_REPORTED_HOURS {
        rate(growth.per_hour / 3600.0)
    } else {
        format!("{} an hour", bytes(growth.per_hour))
    }
}

fn lately_written(disk: &DiskMetrics) -> Option<String> {
    path_argument(&disk.mount).map(|mount| format!("find {mount} -xdev -type f -mmin -60 -size +10M"))
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::EarlierValue;
    use sutazai_core::domain::Severity::{Critical, Warning};

    use super::super::disk::tests::with;
    use super::super::rule::tests::grade_with;
    use super::super::sample::host;
    use super::super::trends::Trends;
    use super::super::trends::tests::trends;
    use super::*;

    const MIB: f64 = 1_048_576.0;
    const SERIES: &str = "host.disks[/].used_bytes";

    /// Grades the disk after these readings in MiB, five minutes apart; `now` is the current value.
    async fn after(readings: &[f64], now: f64, used_percent: f64, available_mib: f64) -> Option<Severity> {
        let snapshot = with(|disk| {
            (disk.used_percent, disk.used_bytes) = (used_percent, (now * MIB) as u64);
            disk.available_bytes = (available_mib * MIB).round() as u64;
        });
        let bytes: Vec<f64> = readings.iter().map(|mib| mib * MIB).collect();
        let history = trends(&snapshot, SERIES, &bytes).await;
        grade_with(&DISK_TREND_FULL, &snapshot, &history)
    }

    #[tokio::test]
    async fn steady_rise_is_forecast_in_hours() {
        // An hour or more of steady growth by 12 MiB each five minutes: 144 MiB an hour.
        let rising: Vec<f64> = (0..13).map(|n| 1000.0 + f64::from(n) * 12.0).collect();
        for (hours_left, expected) in
            [(24.1, None), (23.9, Some(Warning)), (4.1, Some(Warning)), (3.9, Some(Critical))]
        {
            let found = after(&rising, 1156.0, 60.0, hours_left * 144.0).await;
            assert_eq!(found, expected, "{hours_left}");
            assert_eq!(after(&[], 1156.0, 60.0, hours_left * 144.0).await, None, "no history");
            let saw: Vec<f64> = (0..13).map(|n| 1000.0 + f64::from(n % 3) * 40.0).collect();
            assert_eq!(after(&saw, 1000.0, 60.0, hours_left * 144.0).await, None, "no straight line");
        }
        for (used, expected) in [(50.0, None), (50.1, Some(Critical))] {
            assert_eq!(after(&rising, 1156.0, used, 2.0 * 144.0).await, expected, "{used}");
        }
        assert_eq!(after(&rising, 1156.0, 10.0, 100.0).await, Some(Critical), "full within the hour");
    }

    #[tokio::test]
    async fn poorly_fitting_line_is_no_trend() {
        // A line with a sawtooth on it: it fits with more and with less than 0.8.
        for (saw, expected) in [(20.0, Some(Critical)), (26.0, None)] {
            let tooth = |n: u32| if n.is_multiple_of(2) { saw } else { -saw };
            let uneven: Vec<f64> = (0..13).map(|n| 1000.0 + f64::from(n) * 12.0 + tooth(n)).collect();
            let found = after(&uneven, 1156.0 - saw, 60.0, 200.0).await;
            assert_eq!(found, expected, "{saw}");
        }
    }

    #[tokio::test]
    async fn minutes_of_history_forecast_hours() {
        // 60 MiB in each of two times five minutes: 720 MiB an hour.
        for (hours_left, expected) in
            [(4.1, None), (3.9, Some(Warning)), (1.1, Some(Warning)), (0.9, Some(Critical))]
        {
            let found = after(&[1000.0, 1060.0], 1120.0, 60.0, hours_left * 720.0).await;
            assert_eq!(found, expected, "{hours_left}");
        }
        assert_eq!(after(&[1000.0, 1010.0], 1120.0, 60.0, 1.0).await, None, "steps of two sizes");
    }

    /// Finds problems after readings in MiB of half a second ago, of a quarter of a second ago and of now.
    fn seen(readings: [f64; 3], used_percent: f64, seconds_left: f64) -> Option<Found> {
        let mut snapshot = with(|disk| {
            (disk.used_percent, disk.used_bytes) = (used_percent, (readings[2] * MIB) as u64);
            disk.available_bytes = ((readings[2] - readings[0]) * 2.0 * MIB * seconds_left) as u64;
        });
        host(&mut snapshot).earlier = [(0.5, readings[0]), (0.25, readings[1])]
            .map(|(seconds_ago, mib)| EarlierValue { series: SERIES.into(), seconds_ago, value: mib * MIB })
            .into();
        let no_trends = Trends::default();
        let facts = Facts::new(&snapshot, &no_trends);
        (DISK_TREND_FULL.check)(&facts).into_iter().next()
    }

    #[test]
    fn seconds_of_history_forecast_minutes() {
        // 25 MiB in half a second: 50 MiB/s.
        let steep = [1000.0, 1012.0, 1025.0];
        for (seconds_left, expected) in [
            (901.0, None),
            (899.0, Some(Warning)),
            (301.0, Some(Warning)),
            (299.0, Some(Critical)),
            (30.0, Some(Critical)),
        ] {
            for used in [5.0, 95.0] {
                let found = seen(steep, used, seconds_left).map(|found| found.finding.severity);
                assert_eq!(found, expected, "{seconds_left} {used}");
            }
        }
        assert_eq!(seen([1000.0, 1000.0, 1025.0], 95.0, 30.0), None, "it was written at once");
        assert_eq!(seen([1000.0, 1025.0, 1025.0], 95.0, 30.0), None, "it is over");
        let summary = seen(steep, 95.0, 30.0).unwrap().finding.summary;
        assert_eq!(
            summary,
            "Disk / grows by 50 MiB/s, measured over 0.5 seconds, and will be full in about 30 seconds at this rate."
        );
    }
}
