//! Rules of block devices and of work that waits for them.

use super::bounds::Bounds;
use super::draft::{Draft, Found};
use super::figures::{decimal, percent};
use super::names::clean_name;
use super::rule::{Facts, Rest, Rule};

/// Mean time of a request in milliseconds: some ten seeks of a spinning disk, and fifty; our choice.
const LATENCY: Bounds = Bounds::new(100.0, 500.0);
/// Requests a second from which on their mean time says something.
const LEAST_OPERATIONS: f64 = 20.0;
/// Percent of the last minute in which a task waited for a disk; our choice: a quarter of the time, most of it.
const PRESSURE: Bounds = Bounds::new(25.0, 75.0);

/// A block device takes long to answer.
pub(super) const DISK_SLOW: Rule = Rule {
    name: "disk_slow",
    meaning: "A disk takes long to answer, so everything that reads or writes there is slow.",
    check: slow,
};

/// Work waits for disks.
pub(super) const IO_PRESSURE: Rule = Rule {
    name: "io_pressure",
    meaning: "Work stands still a large part of the time because it waits for reading and writing.",
    check: |facts| Vec::from_iter(pressure(facts)),
};

fn slow(facts: &Facts<'_>) -> Vec<Found> {
    let devices = facts.snapshot.host.value().into_iter().flat_map(|host| &host.devices);
    let busy = devices.filter(|device| device.operations_per_second > LEAST_OPERATIONS);
    let judged = busy.filter_map(|device| {
        let latency = device.latency_ms?;
        let (severity, bound) = LATENCY.grade(latency)?;
        let name = clean_name(&device.name);
        let path = |figure: &str| format!("host.devices[{name}].{figure}");
        let draft = Draft::new(&DISK_SLOW, severity, format!("device {name}"))
            .about(&name)
            .judged(path("latency_ms"), latency, "ms", bound)
            .context(path("operations_per_second"), device.operations_per_second, "1/s")
            .context(path("busy_percent"), device.busy_percent, "percent")
            .command("Watch how busy each disk is, with the package sysstat.", "iostat -x 1 5")
            .command("See which processes wait for disks now.", "ps -eo state,pid,wchan,comm | grep ^D")
            .advice("Move heavy reading and writing to a faster disk or to another time.");
        Some(draft.says(format!(
            "A request to device {name} takes {} ms on average, at {} requests a second.",
            decimal(latency),
            decimal(device.operations_per_second),
        )))
    });
    let rest = Rest {
        metric: "host.devices",
        things: "devices",
        are: "slow to answer",
        text: "Watch how busy each disk is, with the package sysstat.",
        command: "iostat -x 1 5",
    };
    DISK_SLOW.worst(judged.collect(), &rest)
}

fn pressure(facts: &Facts<'_>) -> Option<Found> {
    const PATH: &str = "pressure.io.some_avg60";
    let io = &facts.snapshot.pressure.value()?.io;
    let (severity, bound) = PRESSURE.grade(io.some_avg60)?;
    let mut draft = Draft::new(&IO_PRESSURE, severity, "disks")
        .judged(PATH, io.some_avg60, "percent", bound)
        .since(facts.trends.over_since(PATH, bound));
    if let Some(full) = io.full_avg60 {
        draft = draft.context("pressure.io.full_avg60", full, "percent");
    }
    let draft = draft
        .command("See which processes wait for disks now.", "ps -eo state,pid,wchan,comm | grep ^D")
        .command("Watch how busy each disk is, with the package sysstat.", "iostat -x 1 5")
        .advice("Move heavy reading and writing to a faster disk or to another time.");
    Some(draft.says(format!("Tasks waited for disks during {} of the last minute.", percent(io.some_avg60))))
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::Warning;

    use super::super::rule::tests::grade;
    use super::super::sample::{around, healthy, host, pressure};
    use super::*;

    #[test]
    fn a_slow_device_needs_enough_requests() {
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
    fn pressure_has_its_bounds() {
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
