//! What texts claim: the figures in them, and what can be wrong with a text.

use std::fmt;

/// Why a text is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// A number that was not measured, or with another unit.
    Number(String),
    /// A unit that no figure of the finding has.
    Unit(String),
    /// A name, a path or a program that the finding is not about.
    Name(String),
    /// A command, or something to do, that is no remedy of the finding.
    Command(String),
    /// Another resource than that of the finding.
    Finding(String),
    /// It takes the finding back, or makes more of it than it is.
    Contradiction(String),
    /// It speaks to or as a model.
    Prompt(String),
    /// It is nothing to read.
    Useless(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(what) => write!(f, "the number {what:?} was not measured"),
            Self::Unit(what) => write!(f, "the unit {what:?} belongs to no figure"),
            Self::Name(what) => write!(f, "the name {what:?} is not in the evidence"),
            Self::Command(what) => write!(f, "{what:?} is no remedy"),
            Self::Finding(what) => write!(f, "{what:?} was not found"),
            Self::Contradiction(what) => write!(f, "{what:?} contradicts the finding"),
            Self::Prompt(what) => write!(f, "{what:?} is about the request"),
            Self::Useless(why) => write!(f, "it {why}"),
        }
    }
}

/// A number in a text and the unit written after it, none when a word of the sentence follows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Figure {
    /// Its digits, without grouping commas.
    pub(super) number: String,
    /// The unit in its short form: `%`, `GiB`, `ms`, `°C`, `hours` ...; empty for a bare number.
    pub(super) unit: &'static str,
}

/// A figure and where it stands in the text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) figure: Figure,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Ways to write each unit; the first is its short form. Longer ones stand before those they begin with.
const UNITS: &[&[&str]] = &[
    &["%", "percent", "per cent"],
    &["GiB/s"],
    &["MiB/s"],
    &["KiB/s"],
    &["B/s", "bytes/s", "bytes per second"],
    &["TiB", "tebibytes"],
    &["GiB", "gibibytes"],
    &["MiB", "mebibytes"],
    &["KiB", "kibibytes"],
    &["ms", "milliseconds", "millisecond"],
    &["°C", "degrees Celsius", "degrees C"],
    &["hours", "hour"],
    &["days", "day"],
    &["minutes", "minute"],
    &["seconds", "second"],
    &["bytes", "byte"],
    &["cores", "core"],
];

/// The figures of a text, in order. A number runs from its sign to its last digit, however it is grouped.
pub(super) fn figures(text: &str) -> Vec<Placed> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let signed = at > 0
            && matches!(bytes[at - 1], b'-' | b'+' | b'.')
            && !(at > 1 && bytes[at - 2].is_ascii_alphanumeric());
        let start = if signed { at - 1 } else { at };
        let mut end = at;
        while end < bytes.len() {
            let inside = bytes[end].is_ascii_digit()
                || (matches!(bytes[end], b'.' | b',') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit));
            if !inside {
                break;
            }
            end += 1;
        }
        let number = ungrouped(&text[start..end]);
        let (unit, length) = unit(&text[end..]);
        found.push(Placed { figure: Figure { number, unit }, start, end: end + length });
        at = end + length;
    }
    found
}

/// `12,345` is 12345; `1,5` is left as it is, for it may be meant either way.
fn ungrouped(number: &str) -> String {
    let mut groups = number.split('.').next().unwrap_or_default().split(',');
    let head = groups.next().unwrap_or_default();
    let grouped = number.contains(',') && head.len() <= 3 && groups.all(|group| group.len() == 3);
    if grouped { number.replace(',', "") } else { number.to_owned() }
}

/// The unit at the beginning of what follows a number, and how many bytes it takes.
fn unit(rest: &str) -> (&'static str, usize) {
    let spaces = rest.len() - rest.trim_start_matches(' ').len();
    let word = &rest[spaces..];
    for names in UNITS {
        for name in *names {
            let begins = word.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
            let ends = word
                .get(name.len()..)
                .is_none_or(|tail| !tail.starts_with(|c: char| c.is_alphanumeric() || c == '/'));
            if begins && (ends || *name == "%") {
                return (names.first().copied().unwrap_or_default(), spaces + name.len());
            }
        }
    }
    ("", 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_with_their_units() {
        let read = |text| {
            figures(text)
                .into_iter()
                .map(|p| format!("{} {}", p.figure.number, p.figure.unit))
                .collect::<Vec<_>>()
        };
        assert_eq!(read("93.2 % of 15.6 GiB, 93%, 93 percent."), ["93.2 %", "15.6 GiB", "93 %", "93 %"]);
        assert_eq!(read("12,345 requests in 18 hours"), ["12345 ", "18 hours"]);
        assert_eq!(read("1,5 MiB/s and -3 °C and 7 msgs"), ["1,5 MiB/s", "-3 °C", "7 "]);
        assert_eq!(read("x86 and v2.0 and a-1"), ["86 ", "2.0 ", "1 "]);
        assert_eq!(read("5 days5"), ["5 ", "5 "]);
    }
}
