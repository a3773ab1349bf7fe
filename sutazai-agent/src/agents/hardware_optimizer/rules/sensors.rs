//! Rules about temperatures and the clock.

use sutazai_core::domain::{ClockMetrics, Severity, TemperatureMetrics};

use super::bounds::Bounds;
use super::draft::{Draft, Found};
use super::figures::decimal;
use super::judged::{Judged, Levels};
use super::names::clean_name;
use super::rule::{Facts, Rest, Rule};

/// Degrees below the manufacturer's critical temperature for a warning and a critical finding; our choice.
const BELOW_CRITICAL: [f64; 2] = [10.0, 5.0];
/// Degrees Celsius for a sensor without a critical temperature: processors throttle at 95 to 105.
const UNKNOWN_CRITICAL: Bounds = Bounds::new(85.0, 95.0);
/// Plausible readings in degrees Celsius; anything else comes from a sensor that is not connected.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 1.0..=150.0;
/// Readings of a sensor that is not connected, whose bits are all ones: 7 bits of degrees and fractions of them.
const ALL_ONES: std::ops::Range<f64> = 127.0..128.0;
/// Plausible critical temperatures; a lower one is a placeholder.
const PLAUSIBLE_CRITICAL: std::ops::RangeInclusive<f64> = 40.0..=150.0;
/// Maximum error in milliseconds at which a clock counts as unsynchronized: the kernel counts no further
/// (`NTP_PHASE_LIMIT`).
const UNSYNCHRONIZED_ERROR_MS: f64 = 16_000.0;
/// Maximum error in milliseconds of a synchronized clock: systemd-timesyncd rejects a server beyond 5 s.
const MAX_SYNCHRONIZED_ERROR_MS: f64 = 5_000.0;

const SLOW_DOWN: &str = "Hot parts slow themselves down and wear out faster.";
const SENSORS: (&str, &str, &str) = (
    "See all temperatures, with the package lm-sensors.",
    "sensors",
    "Run {command} (package lm-sensors) to see all temperatures and the speed of the fans.",
);

/// Reports a part that is hot.
pub(super) const HIGH_TEMPERATURE: Rule = Rule {
    name: "high_temperature",
    title: "Temperature",
    meaning: "A sensor is near what its maker calls critical. A sensor whose `temp*_fault` says so is left \
              out. Values outside 1 to 150 °C, and 127 to 128 °C, where all bits are ones, are a sensor that \
              is not connected.",
    conditions: [
        "",
        "less than 10 °C below critical; over 85 °C where none is named",
        "less than 5 °C below; over 95 °C",
    ],
    source: "The sensor's own `temp*_crit`; processors slow down at 95 to 105 °C",
    judged: &[
        Judged::above(
            "host.temperatures[<sensor>].celsius",
            "celsius",
            Levels::NONE.warning(-BELOW_CRITICAL[0]).critical(-BELOW_CRITICAL[1]),
        )
        .plus("host.temperatures[<sensor>].critical_celsius"),
        Judged::above("host.temperatures[<sensor>].celsius", "celsius", UNKNOWN_CRITICAL.levels()),
    ],
    needs: &["host.temperatures"],
    check: temperatures,
};

/// Reports a clock that no time service synchronizes.
pub(super) const CLOCK_UNSYNCHRONIZED: Rule = Rule {
    name: "clock_unsynchronized",
    title: "Clock synchronization",
    meaning: "The kernel was not told that the clock is synchronized (`STA_UNSYNC` of adjtimex(2)). Where a \
              time service is seen to run, it is worth knowing only: some never tell the kernel.",
    conditions: ["always", "the greatest error is 16 s or more", ""],
    source: "16 s is where the kernel stops counting (`NTP_PHASE_LIMIT`), and node-exporter's bound",
    judged: &[Judged::above("host.clock.max_error_ms", "ms", Levels::NONE.warning(UNSYNCHRONIZED_ERROR_MS))],
    needs: &["host.clock"],
    check: |facts| Vec::from_iter(unsynchronized(facts)),
};

/// Reports a clock that is synchronized but may be far off.
pub(super) const CLOCK_SKEW: Rule = Rule {
    name: "clock_skew",
    title: "Clock error",
    meaning: "Synchronized, but the greatest error that the kernel assumes is large.",
    conditions: ["", "over 5 s", ""],
    source: "systemd-timesyncd refuses servers beyond 5 s (`RootDistanceMaxSec`)",
    judged: &[Judged::above(
        "host.clock.max_error_ms",
        "ms",
        Levels::NONE.warning(MAX_SYNCHRONIZED_ERROR_MS),
    )],
    needs: &["host.clock"],
    check: |facts| Vec::from_iter(skew(facts)),
};

/// Returns whether a reading is plausible for a connected sensor.
pub(super) fn is_plausible(celsius: f64) -> bool {
    PLAUSIBLE.contains(&celsius) && !ALL_ONES.contains(&celsius)
}

fn temperatures(facts: &Facts<'_>) -> Vec<Found> {
    let sensors = facts.snapshot.host.value().into_iter().flat_map(|host| &host.temperatures);
    let rest = Rest {
        metric: "host.temperatures",
        things: "sensors",
        are: "hot",
        consequence: SLOW_DOWN,
        text: SENSORS.0,
        command: SENSORS.1,
        advice: SENSORS.2,
    };
    HIGH_TEMPERATURE.worst(sensors.filter_map(|sensor| hot(facts, sensor)).collect(), &rest)
}

fn hot(facts: &Facts<'_>, sensor: &TemperatureMetrics) -> Option<Found> {
    let critical = sensor.critical_celsius;
    let critical =
        critical.filter(|critical| PLAUSIBLE_CRITICAL.contains(critical) && is_plausible(*critical));
    let bounds = critical.map_or(UNKNOWN_CRITICAL, |critical| {
        let [warning, grave] = BELOW_CRITICAL;
        Bounds::new(critical - warning, critical - grave)
    });
    let celsius = sensor.celsius;
    if !is_plausible(celsius) {
        return None;
    }
    facts.look();
    let (severity, bound) = bounds.grade(celsius)?;
    let label = clean_name(&sensor.label);
    let path = |figure: &str| format!("host.temperatures[{label}].{figure}");
    let draft = Draft::new(&HIGH_TEMPERATURE, severity, format!("sensor {label}")).about(&label).judged(
        path("celsius"),
        celsius,
        "celsius",
        bound,
    );
    let shown = decimal(celsius);
    let draft = match critical {
        Some(critical) => {
            let limit = decimal(critical);
            draft.context(path("critical_celsius"), critical, "celsius").statements([
                format!("Sensor {label} shows {shown} °C; its critical temperature is {limit} °C."),
                format!("The temperature of sensor {label} is {shown} °C, and {limit} °C is critical."),
            ])
        }
        None => draft.statements([
            format!("Sensor {label} shows {shown} °C."),
            format!("The temperature of sensor {label} is {shown} °C."),
        ]),
    };
    let danger = match severity {
        Severity::Critical => "At its critical temperature, the machine may switch itself off.",
        _ => "If it becomes much hotter, the machine may switch itself off.",
    };
    let found = draft
        .consequences(&[
            SLOW_DOWN,
            danger,
            "Dust, a failed fan or warm air around the machine is the usual cause.",
        ])
        .command(SENSORS.0, SENSORS.1, SENSORS.2)
        .remedy("Check that the fans run, that the air paths are free of dust and that the room is cool.")
        .advice("Reduce the load for now if the temperature keeps rising.")
        .finish(format!("sensor {label} is hot"));
    Some(found)
}

fn clock<'a>(facts: &Facts<'a>) -> Option<&'a ClockMetrics> {
    facts.snapshot.host.value()?.clock.as_ref()
}

fn unsynchronized(facts: &Facts<'_>) -> Option<Found> {
    const PATH: &str = "host.clock.max_error_ms";
    let clock = clock(facts)?;
    facts.look();
    if clock.synchronized {
        return None;
    }
    let error = clock.max_error_ms;
    let ms = decimal(error);
    if let Some(service) = &clock.service {
        return Some(service_without_kernel_flag(service, error));
    }
    let draft = if error >= UNSYNCHRONIZED_ERROR_MS {
        Draft::new(&CLOCK_UNSYNCHRONIZED, Severity::Warning, "clock")
            .judged(PATH, error, "ms", UNSYNCHRONIZED_ERROR_MS)
            .statements([
                format!("The kernel does not count the clock as synchronized and assumes an error of {ms} ms or more."),
                format!("The clock is not marked as synchronized, and its error may be {ms} ms or more."),
            ])
    } else {
        Draft::new(&CLOCK_UNSYNCHRONIZED, Severity::Info, "clock").context(PATH, error, "ms").statements([
            format!(
                "The kernel does not count the clock as synchronized and assumes an error of up to {ms} ms."
            ),
            format!("The clock is not marked as synchronized, and its error may be up to {ms} ms."),
        ])
    };
    let found = draft
        .consequences(&[
            "Times in logs become unreliable, and events on several machines are hard to compare.",
            "A wrong clock can make certificates, tokens and one-time codes fail.",
            "Without a time service, the error of the clock grows every day.",
        ])
        .command(
            "See whether a time service runs.",
            "timedatectl status",
            "Run {command} to see whether a time service is active and whether the clock is synchronized.",
        )
        .remedy("Install and enable a time service, such as chrony or systemd-timesyncd.")
        .advice("Check that the firewall lets the time service reach its servers.")
        .advice("In a container, synchronize the clock of the host instead.")
        .finish("the clock is not synchronized");
    Some(found)
}

/// Reports that a time service runs although the kernel counts as unsynchronized. Some services correct the clock
/// without setting the kernel's flag, and one that has just started is not done yet.
fn service_without_kernel_flag(service: &str, error: f64) -> Found {
    let (service, ms) = (clean_name(service), decimal(error));
    Draft::new(&CLOCK_UNSYNCHRONIZED, Severity::Info, "clock")
        .context("host.clock.max_error_ms", error, "ms")
        .statements([
            format!("Time service {service} runs, but the kernel assumes an error of the clock of {ms} ms or more."),
            format!("The kernel does not count the clock as synchronized ({ms} ms or more), although {service} runs."),
        ])
        .consequences(&[
            "Some time services correct the clock without marking it as synchronized for the kernel.",
            "A time service that cannot reach its servers leaves the clock as it is.",
        ])
        .command(
            "See what the time service says of the clock.",
            "timedatectl status",
            "Run {command} to see whether the clock is synchronized, and compare the time with another machine.",
        )
        .remedy("Check that the time service reaches its servers.")
        .advice("If it does, configure it to mark the clock as synchronized, as the option rtcsync of chrony does.")
        .finish("the clock is not marked as synchronized")
}

fn skew(facts: &Facts<'_>) -> Option<Found> {
    let clock = clock(facts)?;
    facts.look();
    let error = clock.max_error_ms;
    if !clock.synchronized || !error.is_finite() || error <= MAX_SYNCHRONIZED_ERROR_MS {
        return None;
    }
    let ms = decimal(error);
    let found = Draft::new(&CLOCK_SKEW, Severity::Warning, "clock")
        .judged("host.clock.max_error_ms", error, "ms", MAX_SYNCHRONIZED_ERROR_MS)
        .statements([
            format!("The clock is synchronized but may still be up to {ms} ms off."),
            format!("Although a time service is active, the clock may be wrong by up to {ms} ms."),
            format!("The kernel assumes that the clock may be wrong by up to {ms} ms."),
        ])
        .consequences(&[
            "Log entries of several machines cannot be put in order reliably.",
            "Tokens and one-time codes that are valid for a short time may be refused.",
            "A distant or unreachable time server is the usual cause.",
        ])
        .command(
            "See which time server is used.",
            "timedatectl timesync-status",
            "Run {command} to see which time server is used and how long its answers take.",
        )
        .remedy("Use a time server that is nearer or answers more reliably.")
        .advice("Configure more than one time server, so that the failure of one does not matter.")
        .finish("the clock may be several seconds off");
    Some(found)
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Critical, Info, Warning};

    use super::super::rule::tests::grade;
    use super::super::sample::{around, healthy, host};
    use super::*;

    #[test]
    fn temperatures_are_compared_with_the_critical_one() {
        for (critical, bounds) in [
            (Some(100.0), [90.0, 95.0]),
            (Some(60.0), [50.0, 55.0]),
            (None, [85.0, 95.0]),
            (Some(40.0), [30.0, 35.0]),
            (Some(39.9), [85.0, 95.0]),
            (Some(150.0), [140.0, 145.0]),
            (Some(150.1), [85.0, 95.0]),
        ] {
            for (value, expected) in around(bounds[0], bounds[1]) {
                let mut snapshot = healthy();
                let sensor = &mut host(&mut snapshot).temperatures[0];
                (sensor.celsius, sensor.critical_celsius) = (value, critical);
                assert_eq!(grade(&HIGH_TEMPERATURE, &snapshot), expected, "{value} of {critical:?}");
            }
        }
        for (celsius, expected) in [
            (126.9, Some(Critical)),
            (127.0, None),
            (127.9, None),
            (128.0, Some(Critical)),
            (150.0, Some(Critical)),
            (150.1, None),
            (f64::NAN, None),
        ] {
            let mut snapshot = healthy();
            host(&mut snapshot).temperatures[0].celsius = celsius;
            assert_eq!(grade(&HIGH_TEMPERATURE, &snapshot), expected, "{celsius}");
        }
    }

    #[test]
    fn clock_is_unsynchronized_or_skewed() {
        for (synchronized, error, unsynchronized, skew) in [
            (true, 5000.0, None, None),
            (true, 5000.1, None, Some(Warning)),
            (false, 15_999.0, Some(Info), None),
            (false, 16_000.0, Some(Warning), None),
            (true, f64::INFINITY, None, None),
        ] {
            let mut snapshot = healthy();
            let clock = ClockMetrics { synchronized, max_error_ms: error, service: None };
            host(&mut snapshot).clock = Some(clock.clone());
            assert_eq!(grade(&CLOCK_UNSYNCHRONIZED, &snapshot), unsynchronized, "{synchronized} {error}");
            assert_eq!(grade(&CLOCK_SKEW, &snapshot), skew, "{synchronized} {error}");
            // Not every time service sets the kernel's flag.
            host(&mut snapshot).clock = Some(ClockMetrics { service: Some("chronyd".into()), ..clock });
            let milder = unsynchronized.map(|_| Info);
            assert_eq!(grade(&CLOCK_UNSYNCHRONIZED, &snapshot), milder, "{synchronized} {error}");
        }
    }
}
