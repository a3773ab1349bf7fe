//! Rules about block devices and tasks that wait for them.

use sutazai_core::domain::{DeviceMetrics, Severity};

use super::bounds::Bounds;
use super::draft::{Draft, Found};
use super::figures::{decimal, percent};
use super::judged::Judged;
use super::names::clean_name;
use super::rule::{Facts, Rest, Rule};
use super::sustained::{self, Seen};

/// Mean duration of a request in milliseconds: some ten seeks of a spinning disk, and fifty; our choice.
const LATENCY: Bounds = Bounds::new(100.0, 500.0);
/// Minimum requests a second for their mean duration to be judged.
const MIN_OPERATIONS_PER_SECOND: f64 = 20.0;
/// Percent of the last minute in which a task waited for a disk; our choice: a quarter of the time, most of it.
const PRESSURE: Bounds = Bounds::new(25.0, 75.0);

const IOSTAT: (&str, &str, &str) = (
    "Watch how busy each disk is, with the package sysstat.",
    "iostat -x 1 5",
    "Run {command} (package sysstat) to see which disk is busy and how long its requests wait.",
);
const WAITING: (&str, &str, &str) = (
    "See which processes wait for disks now.",
    "ps -eo state,pid,wchan,comm | grep ^D",
    "Run {command} to see which processes wait for a disk now.",
);

/// Reports a block device that responds slowly.
pub(super) const DISK_SLOW: Rule = Rule {
    name: "disk_slow",
    title: "Slow disk",
    meaning: "The mean time of a request, if there are over 20 a second. Seen at two readings or more.",
    conditions: ["over 100 ms at the only reading", "over 100 ms", "over 500 ms, and for a second or more"],
    source: "Some ten seeks of a spinning disk, and fifty; ours",
    judged: &[Judged::above("host.devices[<device>].latency_ms", "ms", LATENCY.levels_from_info())],
    needs: &["host.devices"],
    check: slow,
};

/// Reports tasks that wait for disks.
pub(super) const IO_PRESSURE: Rule = Rule {
    name: "io_pressure",
    title: "Disk pressure",
    meaning: "Work waits for disks.",
    conditions: ["", "a task stalled over 25 % of the last minute", "over 75 %"],
    source: "Figures of the kernel's `psi.rst`; the bounds are ours",
    judged: &[Judged::percent("pressure.io.some_avg60", PRESSURE.levels())],
    needs: &["pressure.io"],
    check: |facts| Vec::from_iter(pressure(facts)),
};

fn slow(facts: &Facts<'_>) -> Vec<Found> {
    let devices = facts.snapshot.host.value().into_iter().flat_map(|host| &host.devices);
    let found = devices.filter_map(|device| slow_device(device, &seen_slow(facts, device)?));
    let rest = Rest {
        metric: "host.devices",
        things: "devices",
        are: "slow to respond",
        consequence: "Every program that reads or writes there has to wait.",
        text: IOSTAT.0,
        command: IOSTAT.1,
        advice: IOSTAT.2,
    };
    DISK_SLOW.worst(found.collect(), &rest)
}

/// Grades the mean duration of a request at each reading with enough of them.
fn seen_slow(facts: &Facts<'_>, device: &DeviceMetrics) -> Option<Seen> {
    let Some(latency_ms) = device.latency_ms else {
        // A device without requests is not slow.
        facts.look();
        return None;
    };
    let series = |figure: &str| format!("host.devices[{}].{figure}", device.name);
    let (operations, latency) = (series("operations_per_second"), series("latency_ms"));
    let readings = sustained::combined(
        facts,
        (&operations, device.operations_per_second),
        (&latency, latency_ms),
        |operations, latency| match latency {
            Some(latency) if operations > MIN_OPERATIONS_PER_SECOND => latency,
            _ => 0.0,
        },
    );
    let interval = facts.snapshot.host.value()?.cpu.interval_seconds;
    sustained::judge(facts, LATENCY, &readings, interval)
}

fn slow_device(device: &DeviceMetrics, seen: &Seen) -> Option<Found> {
    let latency = device.latency_ms?;
    let name = clean_name(&device.name);
    let path = |figure: &str| format!("host.devices[{name}].{figure}");
    let (time, requests) = (decimal(latency), decimal(device.operations_per_second));
    let busy = percent(device.busy_percent);
    let effect = match seen.severity {
        Severity::Critical => "Delays of this length can lead to timeouts and failed requests.",
        _ => "Databases and other programs that wait for each write are affected most.",
    };
    let draft = Draft::new(&DISK_SLOW, seen.severity, format!("device {name}"))
        .about(&name)
        .judged(path("latency_ms"), latency, "ms", seen.bound)
        .context(path("operations_per_second"), device.operations_per_second, "1/s")
        .context(path("busy_percent"), device.busy_percent, "percent");
    let draft = seen.context(draft, &format!("host.devices[{name}]"));
    let draft = if seen.is_single() {
        draft.statements([
            format!("At the only reading, a request to device {name} took {time} ms on average, at {requests} requests a second."),
            format!("By a single reading, device {name} needs {time} ms for an average request."),
        ])
    } else {
        draft.statements([
            format!(
                "A request to device {name} takes {time} ms on average, at {requests} requests a second."
            ),
            format!("Device {name} needs {time} ms for an average request and is busy {busy} of the time."),
            format!("Device {name} is slow to respond: an average request takes {time} ms."),
        ])
    };
    let draft = draft.consequences(&[
        "Every program that reads or writes there has to wait.",
        effect,
        "A disk that is slow although it has little work may be about to fail.",
    ]);
    let found = seen
        .consequence(draft)
        .command(IOSTAT.0, IOSTAT.1, IOSTAT.2)
        .command(WAITING.0, WAITING.1, WAITING.2)
        .remedy("Move heavy reading and writing to a faster disk or to a quieter time.")
        .advice("Check the health of the disk with its SMART data, because a failing disk often becomes slow first.")
        .finish(format!("device {name} is slow to respond"));
    Some(found)
}

fn pressure(facts: &Facts<'_>) -> Option<Found> {
    const PATH: &str = "pressure.io.some_avg60";
    let io = facts.snapshot.pressure.value()?.io.as_ref()?;
    facts.look();
    let (severity, bound) = PRESSURE.grade(io.some_avg60)?;
    let some = percent(io.some_avg60);
    let mut draft = Draft::new(&IO_PRESSURE, severity, "disks")
        .judged(PATH, io.some_avg60, "percent", bound)
        .since(facts.trends.over_since(PATH, bound))
        .statements([
            format!("Tasks waited for disks during {some} of the last minute."),
            format!("At least one task was held up by reading or writing for {some} of the last minute."),
        ]);
    if let Some(full) = io.full_avg60 {
        draft = draft.context("pressure.io.full_avg60", full, "percent").statements([format!(
            "Tasks waited for disks during {some} of the last minute, and all active tasks did during {}.",
            percent(full)
        )]);
    }
    let extent = match severity {
        Severity::Critical => "For most of the time, at least one task is held up by a disk.",
        _ => "Databases and other programs that wait for each write are affected most.",
    };
    let found = draft
        .consequences(&[
            "Programs [respond more slowly|slow down] because reading and writing takes longer.",
            extent,
            "More processors do not help while the work waits for disks.",
        ])
        .command(WAITING.0, WAITING.1, WAITING.2)
        .command(IOSTAT.0, IOSTAT.1, IOSTAT.2)
        .remedy("Move heavy reading and writing to a faster disk or to a quieter time.")
        .advice("Run backups, scans and large copies one after another, or limit their speed.")
        .finish("work waits for disks");
    Some(found)
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Info, Warning};
    use sutazai_core::domain::{EarlierValue, Snapshot};

    use super::super::rule::tests::{grade, grade_with};
    use super::super::sample::{around, healthy, host, pressure};
    use super::super::trends::Trends;
    use super::super::trends::tests::trends;
    use super::*;

    /// Returns a machine whose device had this latency and this number of requests a second, now and at the reading of
    /// `before` seconds ago.
    fn slow(latency: f64, operations: f64, before: Option<(f64, f64, f64)>) -> Snapshot {
        let mut snapshot = healthy();
        let device = &mut host(&mut snapshot).devices[0];
        (device.latency_ms, device.operations_per_second) = (Some(latency), operations);
        if let Some((seconds_ago, latency, operations)) = before {
            for (figure, value) in [("latency_ms", latency), ("operations_per_second", operations)] {
                let series = format!("host.devices[vda].{figure}");
                host(&mut snapshot).earlier.push(EarlierValue { series, seconds_ago, value });
            }
        }
        snapshot
    }

    #[test]
    fn slow_device_needs_enough_requests_at_two_readings() {
        for (value, expected) in around(100.0, 500.0) {
            let slow = |operations, before| grade(&DISK_SLOW, &slow(value, operations, before));
            assert_eq!(slow(20.1, Some((60.0, value, 20.1))), expected, "{value}");
            assert_eq!(slow(20.1, Some((60.0, 9999.0, 20.1))), expected, "{value}");
            assert_eq!(slow(20.1, None), expected.map(|_| Info), "{value} at a single reading");
            assert_eq!(slow(20.1, Some((60.0, 100.0, 99.0))), None, "{value}, and fast before");
            assert_eq!(slow(20.1, Some((60.0, value, 20.0))), None, "{value}, and few requests before");
            assert_eq!(slow(20.0, Some((60.0, value, 99.0))), None, "{value}, and few requests now");
        }
        // Critical for a second or more.
        for (seconds_ago, expected) in [(0.0, None), (0.25, Some(Warning)), (0.75, Some(Critical))] {
            let before = Some((seconds_ago, 900.0, 50.0)).filter(|_| seconds_ago > 0.0);
            let mut snapshot = slow(900.0, 50.0, before);
            host(&mut snapshot).cpu.interval_seconds = 0.25;
            assert_eq!(grade(&DISK_SLOW, &snapshot), expected.or(Some(Info)), "{seconds_ago}");
        }
        // No request before, and none now.
        let mut snapshot = slow(900.0, 50.0, Some((60.0, 900.0, 0.0)));
        host(&mut snapshot).earlier.retain(|one| one.series.ends_with("operations_per_second"));
        assert_eq!(grade(&DISK_SLOW, &snapshot), None);
        let mut snapshot = slow(900.0, 50.0, Some((60.0, 900.0, 50.0)));
        host(&mut snapshot).devices[0].latency_ms = None;
        assert_eq!(grade(&DISK_SLOW, &snapshot), None);
    }

    #[tokio::test]
    async fn history_is_a_second_reading() {
        let snapshot = slow(600.0, 50.0, None);
        for (before, expected) in [(600.0, Some(Critical)), (200.0, Some(Warning)), (100.0, None)] {
            let mut history = trends(&snapshot, "host.devices[vda].latency_ms", &[before]).await;
            history.join(trends(&snapshot, "host.devices[vda].operations_per_second", &[50.0]).await);
            assert_eq!(grade_with(&DISK_SLOW, &snapshot, &history), expected, "{before}");
        }
    }

    #[test]
    fn single_reading_is_named() {
        let snapshot = slow(240.0, 50.0, None);
        let no_trends = Trends::default();
        let facts = Facts::new(&snapshot, &no_trends);
        let found = (DISK_SLOW.check)(&facts).remove(0);
        assert_eq!(
            found.finding.summary,
            "At the only reading, a request to device vda took 240 ms on average, at 50 requests a second."
        );
        assert!(found.texts.consequences.last().unwrap().starts_with("A single reading"));
    }

    #[test]
    fn pressure_is_graded_by_bounds() {
        for (value, expected) in around(25.0, 75.0) {
            let mut snapshot = healthy();
            pressure(&mut snapshot).io.some_avg60 = value;
            assert_eq!(grade(&IO_PRESSURE, &snapshot), expected, "{value}");
        }
        let mut snapshot = healthy();
        (pressure(&mut snapshot).io.some_avg60, pressure(&mut snapshot).io.full_avg60) = (30.0, None);
        assert_eq!(grade(&IO_PRESSURE, &snapshot), Some(Warning));
    }
}
