//! One-line summary over all findings, composed of the rules' headlines.
//!
//! The rules put the worst findings first. A model with the permission `choose` may reorder those of the worst severity
//! and choose which of them are named; a less severe finding never takes the place of a more severe one.

use super::advice::capitalized;
use super::rules::Found;

/// Maximum number of findings that are named; the others are counted.
const MAX_NAMED: usize = 3;

/// Maximum number of findings of the worst severity that a model may choose among, which bounds the number of lines.
const MAX_CANDIDATES: usize = 4;

/// Returns the rules' own line.
pub(super) fn by_rules(found: &[Found]) -> String {
    line(&headlines(found).take(MAX_NAMED).collect::<Vec<_>>(), found.len())
}

/// Returns every line that a model may choose, the rules' own first.
pub(super) fn lines(found: &[Found]) -> Vec<String> {
    let worst = found.iter().map(|found| found.finding.severity).max();
    let all: Vec<_> = headlines(found).collect();
    let tied =
        found.iter().take_while(|found| Some(found.finding.severity) == worst).count().min(MAX_CANDIDATES);
    let (candidates, others) = all.split_at(tied.min(all.len()));
    let chosen = candidates.len().min(MAX_NAMED);
    let mut lines = Vec::new();
    for order in orders(candidates, chosen) {
        let named: Vec<_> = order.into_iter().chain(others.iter().copied()).take(MAX_NAMED).collect();
        let line = line(&named, found.len());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

fn headlines(found: &[Found]) -> impl Iterator<Item = &str> {
    found.iter().map(|found| found.texts.headline.as_str())
}

/// Returns every ordered selection of `length` of these, the given order first.
fn orders<'a>(of: &[&'a str], length: usize) -> Vec<Vec<&'a str>> {
    if length == 0 {
        return vec![Vec::new()];
    }
    let mut orders = Vec::new();
    for (i, first) in of.iter().enumerate() {
        let rest: Vec<_> = of.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, text)| *text).collect();
        let tails = self::orders(&rest, length - 1);
        orders.extend(tails.into_iter().map(|tail| [vec![*first], tail].concat()));
    }
    orders
}

fn line(named: &[&str], total: usize) -> String {
    if named.is_empty() {
        return "Nothing was found.".to_owned();
    }
    let left = total.saturating_sub(named.len());
    let more = match left {
        0 => None,
        1 => Some("1 more finding".to_owned()),
        left => Some(format!("{left} more findings")),
    };
    let mut parts: Vec<String> = named.iter().map(|headline| (*headline).to_owned()).collect();
    parts.extend(more);
    let last = parts.pop().unwrap_or_default();
    let line = if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) };
    format!("{}.", capitalized(&line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::hardware_optimizer::rules::sample::{healthy, sick};
    use crate::agents::hardware_optimizer::rules::{self, Trends};

    #[test]
    fn worst_come_first_and_others_are_counted() {
        assert_eq!(line(&[], 0), "Nothing was found.");
        assert_eq!(line(&["swap is full"], 1), "Swap is full.");
        assert_eq!(line(&["swap is full", "disk / is slow"], 2), "Swap is full and disk / is slow.");
        assert_eq!(line(&["a is b", "c is d", "e is f"], 4), "A is b, c is d, e is f and 1 more finding.");
    }

    #[test]
    fn less_severe_finding_never_replaces_a_more_severe_one() {
        let found = rules::find(&sick(), &Trends::default());
        let lines = lines(&found);
        assert_eq!(lines[0], by_rules(&found));
        assert!(lines.len() > 6 && lines.len() <= 24, "{lines:#?}");
        let worst: Vec<_> =
            found.iter().take(MAX_CANDIDATES).map(|found| found.texts.headline.to_lowercase()).collect();
        for line in &lines {
            let named = worst.iter().filter(|headline| line.to_lowercase().contains(*headline)).count();
            assert_eq!(named, MAX_NAMED, "{line}");
        }
    }

    #[test]
    fn single_finding_leaves_no_choice() {
        let found = rules::find(&healthy(), &Trends::default());
        assert_eq!(lines(&found).len(), 1);
    }
}
