//! Formatting of figures in the rules' sentences: rounded to a useful precision, always with the unit.

const KIB: f64 = 1024.0;
const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];

/// Formats a percentage with at most one decimal: `93.4 %`.
pub(super) fn percent(value: f64) -> String {
    format!("{} %", decimal(value))
}

/// Formats bytes with at most one decimal, in the largest unit that leaves at least one: `1.5 GiB`.
pub(super) fn bytes(value: f64) -> String {
    if value.abs() < KIB {
        return format!("{value:.0} bytes");
    }
    let mut scaled = value / KIB;
    let mut unit = 0;
    while scaled.abs() >= KIB && unit + 1 < UNITS.len() {
        scaled /= KIB;
        unit += 1;
    }
    format!("{} {}", decimal(scaled), UNITS[unit])
}

/// Formats a rate of bytes: `12.3 MiB/s`.
pub(super) fn rate(bytes_per_second: f64) -> String {
    format!("{}/s", bytes(bytes_per_second))
}

/// Formats a number with its noun: `1 process`, `3 processes`.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// Formats a time given in hours: `3.5 hours`, minutes below one hour, and seconds below two minutes.
pub(super) fn hours(value: f64) -> String {
    let seconds = value * 3600.0;
    let (number, unit) = match seconds {
        seconds if seconds < 10.0 => (decimal(seconds), "second"),
        seconds if seconds < 120.0 => (format!("{seconds:.0}"), "second"),
        _ if value < 1.0 => (format!("{:.0}", value * 60.0), "minute"),
        _ => (decimal(value), "hour"),
    };
    if number == "1" { format!("1 {unit}") } else { format!("{number} {unit}s") }
}

/// Lists the forms in which sentences state a value of this unit, each as the functions of this file write it.
pub(in crate::agents::hardware_optimizer) fn forms(value: f64, unit: &str) -> Vec<String> {
    let plain = decimal(value);
    match unit {
        "percent" => vec![percent(value)],
        "bytes" => vec![bytes(value), format!("{} an hour", bytes(value))],
        "bytes/s" => vec![rate(value)],
        "ms" => vec![format!("{plain} ms")],
        "celsius" => vec![format!("{plain} °C")],
        "hours" => vec![hours(value)],
        "seconds" => vec![format!("{plain} seconds"), hours(value / 3600.0)],
        "cores" => vec![format!("{plain} cores"), plain],
        _ => vec![plain],
    }
}

/// Puts the first letter into upper case, for the beginning of a sentence.
pub(super) fn sentence_case(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Formats a number with at most one decimal, and without one when that is zero.
pub(super) fn decimal(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let seen = [
            percent(93.44),
            percent(93.04),
            bytes(0.0),
            bytes(1023.0),
            bytes(1536.0),
            bytes(8.0 * KIB * KIB * KIB),
            bytes(f64::MAX).split_once(' ').unwrap().1.to_owned(),
            rate(1.25 * KIB * KIB),
            count(1, "process", "processes"),
            count(0, "process", "processes"),
            hours(0.52 / 3600.0),
            hours(1.0 / 3600.0),
            hours(33.3 / 3600.0),
            hours(1.0 / 60.0),
            hours(0.5),
            hours(1.0),
            hours(1.0 + 1.0 / 3.0),
            hours(12.0),
        ];
        let expected = [
            "93.4 %",
            "93 %",
            "0 bytes",
            "1023 bytes",
            "1.5 KiB",
            "8 GiB",
            "PiB",
            "1.2 MiB/s",
            "1 process",
            "0 processes",
            "0.5 seconds",
            "1 second",
            "33 seconds",
            "60 seconds",
            "30 minutes",
            "1 hour",
            "1.3 hours",
            "12 hours",
        ];
        assert_eq!(seen, expected);
    }
}
