//! Assertions of an accepted text: its sentences, and the figures, names and commands in them, each with its position.

use sutazai_core::domain::{Assertion, AssertionKind, Finding};

use super::evidence;

/// Units that may follow a figure; a longer unit stands before those that are its prefix.
const UNITS: &[&str] = &[
    "GiB/s", "MiB/s", "KiB/s", "bytes/s", "TiB", "GiB", "MiB", "KiB", "PiB", "bytes", "%", "ms", "°C",
    "hours", "minutes", "days", "seconds", "cores",
];

/// Lists the assertions of a text about this finding.
///
/// `statement` is the length of its statement. `sentences` has for each further sentence whether it is advice, and its
/// start and end in bytes. Positions in the result count characters.
pub(super) fn of(
    text: &str,
    finding: &Finding,
    statement: usize,
    sentences: &[(bool, usize, usize)],
    names: &[String],
    commands: &[String],
) -> Vec<Assertion> {
    let mut found = vec![(AssertionKind::Statement, 0, statement.min(text.len()))];
    for (is_advice, start, end) in sentences {
        let kind = if *is_advice { AssertionKind::Advice } else { AssertionKind::Consequence };
        found.push((kind, *start, *end));
    }
    let mut rest = text.to_owned();
    let mut take = |kind: AssertionKind, rest: &mut String, start: usize, end: usize| {
        found.push((kind, start, end));
        rest.replace_range(start..end, &" ".repeat(end - start));
    };
    for command in commands {
        for (start, quoted) in text.match_indices(&format!("`{command}`")) {
            take(AssertionKind::Command, &mut rest, start, start + quoted.len());
        }
    }
    for name in names {
        for start in occurrences(&rest, name) {
            take(AssertionKind::Name, &mut rest, start, start + name.len());
        }
    }
    for (start, end) in figures(&rest) {
        take(AssertionKind::Figure, &mut rest, start, end);
    }
    found.sort_by_key(|(kind, start, end)| (*start, std::cmp::Reverse(*end), *kind));
    let characters = |bytes: usize| text.get(..bytes).map_or(0, |before| before.chars().count());
    let assertion = |(kind, start, end)| {
        let words = text.get(start..end).unwrap_or_default();
        Assertion {
            kind,
            text: words.to_owned(),
            start: characters(start),
            end: characters(end),
            evidence: match kind {
                AssertionKind::Figure => evidence::of_figure(words, finding)
                    .or_else(|| evidence::of_number_in_name(words, finding)),
                AssertionKind::Name => evidence::of_name(words, finding),
                _ => None,
            },
        }
    };
    found.into_iter().map(assertion).collect()
}

/// Finds the positions of a name where it is not part of a longer name; ignores case.
pub(super) fn occurrences(text: &str, name: &str) -> Vec<usize> {
    let joins = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '-' | '@' | '+');
    let (folded, wanted) = (text.to_ascii_lowercase(), name.to_ascii_lowercase());
    let starts = folded.match_indices(&wanted).map(|(start, _)| start);
    starts
        .filter(|start| {
            let before = text[..*start].chars().next_back();
            let after = text[start + name.len()..].chars().next();
            !before.is_some_and(joins) && !after.is_some_and(joins)
        })
        .collect()
}

/// Finds numbers with their units; returns start and end in bytes.
fn figures(text: &str) -> Vec<(usize, usize)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let inside = |end: usize| {
            let mark =
                matches!(bytes[end], b'.' | b',') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
            bytes[end].is_ascii_digit() || mark
        };
        let signed = at > 0 && bytes[at - 1] == b'-';
        let start = if signed { at - 1 } else { at };
        let mut end = at;
        while end < bytes.len() && inside(end) {
            end += 1;
        }
        let unit = text[end..].strip_prefix(' ').and_then(|rest| {
            let unit = UNITS.iter().find(|unit| rest.starts_with(**unit))?;
            let ends = !rest[unit.len()..].starts_with(char::is_alphanumeric);
            ends.then_some(1 + unit.len())
        });
        end += unit.unwrap_or(0);
        found.push((start, end));
        at = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::{Evidence, Severity};

    use super::*;

    #[test]
    fn assertions_have_positions_in_characters() {
        let text = "Sensor a shows 90 °C of 95.5 °C. Run `sensors` to see all temperatures.";
        let statement = text.find(" Run").unwrap();
        let names = ["sensor a".to_owned()];
        let evidence = |figure: &str, value| Evidence {
            metric: format!("host.temperatures[a].{figure}"),
            value,
            unit: "celsius".into(),
            threshold: None,
            since: None,
        };
        let finding = Finding {
            id: "high_temperature:a".into(),
            rule: "high_temperature".into(),
            severity: Severity::Critical,
            resource: "sensor a".into(),
            summary: text[..statement].to_owned(),
            evidence: vec![evidence("celsius", 90.0), evidence("critical_celsius", 95.5)],
            remedies: Vec::new(),
        };
        let advice = [(true, statement + 1, text.len())];
        let found = of(text, &finding, statement, &advice, &names, &["sensors".into()]);
        let seen: Vec<_> = found.iter().map(|a| (a.kind.as_str(), a.text.as_str(), a.evidence)).collect();
        assert_eq!(
            seen,
            [
                ("statement", "Sensor a shows 90 °C of 95.5 °C.", None),
                ("name", "Sensor a", Some(0)),
                ("figure", "90 °C", Some(0)),
                ("figure", "95.5 °C", Some(1)),
                ("advice", "Run `sensors` to see all temperatures.", None),
                ("command", "`sensors`", None),
            ]
        );
        for assertion in found {
            let cut: String =
                text.chars().skip(assertion.start).take(assertion.end - assertion.start).collect();
            assert_eq!(cut, assertion.text);
        }
    }

    #[test]
    fn figures_have_their_unit_and_names_are_whole() {
        let cut =
            |text: &'static str| figures(text).into_iter().map(|(a, b)| &text[a..b]).collect::<Vec<_>>();
        assert_eq!(
            cut("14.2 GiB of 16 GiB, 93 %. 12,345 requests in 3 hours, -3 °C"),
            ["14.2 GiB", "16 GiB", "93 %", "12,345", "3 hours", "-3 °C"]
        );
        assert_eq!(occurrences("web-2, web and Web", "web"), [7, 15]);
    }
}
