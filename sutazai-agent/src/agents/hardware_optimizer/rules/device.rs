//! Rules about block devices and tasks that wait for them.

use sutazai_core::domain::{DeviceMetrics, Severity};

use super::bounds::Bounds;
use super::draft::{Draft, Found};
use super::figures::{decimal, percent};
use super::names::clean_name;
use super::rule::{Facts, Rest, Rule};

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
pub(super) const DISK_SLOW: Rule = Rule { name: "disk_slow", check: slow };

/// Reports tasks that wait for disks.
pub(super) const IO_PRESSURE: Rule =
    Rule { name: "io_pressure", check: |facts| Vec::from_iter(pressure(facts)) };

fn slow(facts: &Facts<'_>) -> Vec<Found> {
    let devices = facts.snapshot.host.value().into_iter().flat_map(|host| &host.devices);
    let busy = devices.filter(|device| device.operations_per_second > MIN_OPERATIONS_PER_SECOND);
    let rest = Rest {
        metric: "host.devices",
        things: "devices",
        are: "slow to respond",
        consequence: "Every program that reads or writes there has to wait.",
        text: IOSTAT.0,
        command: IOSTAT.1,
        advice: IOSTAT.2,
    };
    DISK_SLOW.worst(busy.filter_map(slow_device).collect(), &rest)
}

fn slow_device(device: &DeviceMetrics) -> Option<Found> {
    let latency = device.latency_ms?;
    let (severity, bound) = LATENCY.grade(latency)?;
    let name = clean_name(&device.name);
    let path = |figure: &str| format!("host.devices[{name}].{figure}");
    let (time, requests) = (decimal(latency), decimal(device.operations_per_second));
    let busy = percent(device.busy_percent);
    let effect = match severity {
        Severity::Critical => "Delays of this length can lead to timeouts and failed requests.",
        _ => "Databases and other programs that wait for each write are affected most.",
    };
    let found = Draft::new(&DISK_SLOW, severity, format!("device {name}"))
        .about(&name)
        .judged(path("latency_ms"), latency, "ms", bound)
        .context(path("operations_per_second"), device.operations_per_second, "1/s")
        .context(path("busy_percent"), device.busy_percent, "percent")
        .statements([
            format!("A request to device {name} takes {time} ms on average, at {requests} requests a second."),
            format!("Device {name} needs {time} ms for an average request and is busy {busy} of the time."),
            format!("Device {name} is slow to respond: an average request takes {time} ms."),
        ])
        .consequences(&[
            "Every program that reads or writes there has to wait.",
            effect,
            "A disk that is slow although it has little work may be about to fail.",
        ])
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
    use sutazai_core::domain::Severity::Warning;

    use super::super::rule::tests::grade;
    use super::super::sample::{around, healthy, host, pressure};
    use super::*;

    #[test]
    fn slow_device_needs_enough_requests() {
        for (value, expected) in around(100.0, 500.0) {
            let mut snapshot = healthy();
            let device = &mut host(&mut snapshot).devices[0];
            (device.latency_ms, device.operations_per_second) = (Some(value), 20.1);
            assert_eq!(grade(&DISK_SLOW, &snapshot), expected, "{value}");
            host(&mut snapshot).devices[0].operations_per_second = 20.0;
            assert_eq!(grade(&DISK_SLOW, &snapshot), None, "{value}");
        }
        let mut snapshot = healthy();
        let device = &mut host(&mut snapshot).devices[0];
        (device.latency_ms, device.operations_per_second) = (None, 100.0);
        assert_eq!(grade(&DISK_SLOW, &snapshot), None);
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
