//! What a text about one finding may claim.

use std::collections::BTreeSet;

use sutazai_core::domain::{Evidence, Finding, Remedy, Severity};

use super::claims::{Figure, figures};
use super::lexicon;
use super::rules::{Found, first_choices};

/// The figures, names, commands and words that one finding supports.
#[derive(Debug, Clone)]
pub(super) struct Support {
    /// The rules' sentence with the figures.
    pub(super) summary: String,
    /// Why it matters, by the rule.
    pub(super) meaning: String,
    /// What may be done.
    pub(super) remedies: Vec<String>,
    /// The resource as a whole: `container web`.
    pub(super) resource: String,
    /// Names that a text may use: `container web`, `web`.
    pub(super) names: Vec<String>,
    /// All names in the finding, longest first, also those that read as a statement.
    pub(super) called: Vec<String>,
    /// Commands of the remedies, in their order.
    pub(super) commands: Vec<String>,
    /// What a text proposes first: the safest remedy that has a command, or else the safest.
    pub(super) advice: Option<Remedy>,
    /// Figures of the summary, in its order.
    pub(super) stated: Vec<Figure>,
    /// Other roundings of the evidence.
    pub(super) rounded: Vec<Figure>,
    pub(super) severity: Severity,
    /// The words of the rule's own sentences, in lower case, names left out.
    words: BTreeSet<String>,
    /// Negations with the word that follows them, in the rule's own sentences.
    negated: BTreeSet<(String, String)>,
}

impl Support {
    /// That of a finding with its authored sentences.
    pub(super) fn of(found: &Found) -> Self {
        let Found { finding, texts } = found;
        let meaning = texts.consequences.first().map(|sentence| first_choices(sentence)).unwrap_or_default();
        let commands: Vec<_> = finding.remedies.iter().filter_map(|remedy| remedy.command.clone()).collect();
        let advice =
            finding.remedies.iter().find(|remedy| remedy.command.is_some()).or(finding.remedies.first());
        let called = called(finding);
        let bare = mask(&finding.summary, &called);
        let remedies: Vec<_> = finding.remedies.iter().map(|remedy| remedy.text.clone()).collect();
        let own = std::iter::once(bare.as_str())
            .chain([meaning.as_str()])
            .chain(remedies.iter().map(String::as_str));
        let own: Vec<Vec<String>> =
            own.map(|text| words(text).map(|word| word.to_lowercase()).collect()).collect();
        let pairs = own.iter().flat_map(|words| words.windows(2));
        let negated = pairs.filter_map(|pair| match pair {
            [a, b] if lexicon::contains(lexicon::NEGATIONS, a) => Some((a.clone(), b.clone())),
            _ => None,
        });
        let stated = figures(&bare).into_iter().map(|placed| placed.figure).collect();
        Self {
            summary: finding.summary.clone(),
            meaning,
            resource: finding.resource.clone(),
            commands,
            advice: advice.cloned(),
            stated,
            rounded: finding.evidence.iter().take(1).flat_map(roundings).collect(),
            severity: finding.severity,
            negated: negated.collect(),
            words: own.iter().flatten().cloned().collect(),
            names: called
                .iter()
                .filter(|name| **name == finding.resource || !speaks(name))
                .cloned()
                .collect(),
            called,
            remedies,
        }
    }

    /// Whether the rule's own sentences have this word, in lower case.
    pub(super) fn has_word(&self, word: &str) -> bool {
        self.words.contains(word)
    }

    /// Whether one of the rule's own sentences ends on this word, in lower case.
    pub(super) fn ends_on(&self, word: &str) -> bool {
        let own = self.remedies.iter().map(String::as_str).chain([self.meaning.as_str()]);
        own.filter_map(|sentence| words(sentence).last()).any(|last| last.eq_ignore_ascii_case(word))
    }

    /// Whether the rule itself says so: `no longer`.
    pub(super) fn has_negation(&self, negation: &str, next: &str) -> bool {
        self.negated.contains(&(negation.to_owned(), next.to_owned()))
    }

    /// The words of the rule's own sentences.
    pub(super) fn own_words(&self) -> impl Iterator<Item = &str> {
        self.words.iter().map(String::as_str)
    }

    /// Negations of the rule's own sentences, each with the word that follows.
    pub(super) fn own_negations(&self) -> impl Iterator<Item = String> + '_ {
        self.negated.iter().map(|(negation, next)| format!("{negation} {next}"))
    }

    /// Whether a figure was measured.
    pub(super) fn has_figure(&self, figure: &Figure) -> bool {
        self.stated.contains(figure) || self.rounded.contains(figure)
    }

    /// The sentence that stands where no model's text does.
    pub(super) fn rules_text(&self) -> String {
        match self.remedies.first() {
            Some(remedy) => format!("{} {remedy}", self.summary),
            None => self.summary.clone(),
        }
    }
}

/// The words of a text, as they are written.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let inner = |c: char| c.is_alphanumeric() || c == '\'';
    text.split(move |c: char| !inner(c)).map(|word| word.trim_matches('\'')).filter(|word| !word.is_empty())
}

/// The text with each of these names blanked out, so that bytes keep their places.
pub(super) fn mask(text: &str, names: &[String]) -> String {
    let mut text = text.to_owned();
    for name in names {
        let places: Vec<_> = occurrences(&text, name).collect();
        for start in places {
            text.replace_range(start..start + name.len(), &" ".repeat(name.len()));
        }
    }
    text
}

/// Where a name stands by itself, not as a part of a longer one. Case does not matter.
pub(super) fn occurrences<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let joins = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '-' | '@' | '+');
    let (folded, wanted) = (text.to_ascii_lowercase(), name.to_ascii_lowercase());
    let starts: Vec<usize> = folded.match_indices(&wanted).map(|(at, _)| at).collect();
    starts.into_iter().filter(move |at| {
        let mut before = text[..*at].chars().rev();
        let (last, earlier) = (before.next(), before.next());
        let mut after = text[at + name.len()..].chars();
        let (next, second) = (after.next(), after.next());
        // A full stop ends a sentence, or goes on with the name.
        let goes_on = next.is_some_and(joins)
            || (matches!(next, Some('.' | ':')) && second.is_some_and(char::is_alphanumeric));
        let began_before =
            last.is_some_and(joins) || (last == Some('.') && earlier.is_some_and(char::is_alphanumeric));
        !(began_before || goes_on)
    })
}

/// Every name in a finding, longest first: the resource as a whole, its own name, and those of its evidence, as in
/// `containers[web].memory_used_bytes`.
fn called(finding: &Finding) -> Vec<String> {
    let mut names = vec![finding.resource.clone()];
    if let Some((_, name)) = finding.resource.split_once(' ') {
        names.push(name.to_owned());
        names.extend(name.rsplit_once(" (").map(|(own, _)| own.to_owned()));
    }
    let bracketed = |metric: &str| Some(metric.split_once('[')?.1.rsplit_once(']')?.0.to_owned());
    let evidence = finding.evidence.iter().filter_map(|evidence| bracketed(&evidence.metric));
    // A place in a list is no name.
    names.extend(evidence.filter(|name| !name.bytes().all(|b| b.is_ascii_digit())));
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names.dedup();
    names
}

/// Whether a name has a word of the language in it. `healthy` by itself would make a claim that nobody checks.
fn speaks(name: &str) -> bool {
    words(name).any(|word| lexicon::is_of_the_language(&word.to_lowercase()))
}

/// A value of the evidence as it may be written: rounded to a whole and to a tenth.
fn roundings(evidence: &Evidence) -> Vec<Figure> {
    const SIZES: [(&str, &str, f64); 4] = [
        ("TiB", "TiB/s", 1_099_511_627_776.0),
        ("GiB", "GiB/s", 1_073_741_824.0),
        ("MiB", "MiB/s", 1_048_576.0),
        ("KiB", "KiB/s", 1024.0),
    ];
    let value = evidence.value;
    if !value.is_finite() {
        return Vec::new();
    }
    let (scaled, unit) = match evidence.unit.as_str() {
        "percent" => (value, "%"),
        "ms" => (value, "ms"),
        "celsius" => (value, "°C"),
        "hours" => (value, "hours"),
        "days" => (value, "days"),
        "seconds" => (value, "seconds"),
        unit @ ("bytes" | "bytes/s") => {
            let size = SIZES.iter().find(|(_, _, size)| value >= *size);
            size.map_or((value, "bytes"), |(plain, rate, size)| {
                (value / size, if unit == "bytes" { *plain } else { *rate })
            })
        }
        _ => (value, ""),
    };
    let mut figures = vec![Figure { number: format!("{scaled:.0}"), unit }];
    let tenth = Figure { number: format!("{scaled:.1}"), unit };
    if !tenth.number.ends_with(".0") {
        figures.push(tenth);
    }
    // Twelve and a half rounded to a whole is a fair thing to say; a ratio of 1.4 rounded to 1 is not.
    if scaled.abs() < 10.0 && figures.len() > 1 {
        figures.remove(0);
    }
    figures
}
