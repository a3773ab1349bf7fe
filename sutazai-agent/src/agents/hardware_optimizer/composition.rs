//! Composition of a text about one finding: a statement, an optional consequence, and one or two sentences of advice.
//!
//! ```text
//! Disk /var is 96.4 % full. | Programs fail when they cannot write. | Run `du -xh /var | sort -h` to see what takes the space.
//! statement                   consequence                             advice
//! ```
//!
//! Statement and consequence are always authored. The advice is authored under the permission `choose`, and belongs to
//! the language of [`advice`](super::advice) under `word`. The same expressions give the grammar that a backend samples
//! by and the check of every text, whatever backend it comes from.

use std::collections::BTreeSet;

use sutazai_core::domain::{Assertion, ModelPermission, RejectionReason};

use super::advice;
use super::assertions;
use super::authored::{Authored, names};
use super::language::{Expression, Matcher, choice, literal, one_of, optional, sequence};
use super::lark;
use super::phrases::Breadth;
use super::rejection::Rejection;
use super::rules::{Found, first_choices};

/// Set of texts that are possible about one finding under one permission.
#[derive(Debug)]
pub(super) struct Composition<'a> {
    found: &'a Found,
    /// One authored consequence, with its synonym choices.
    consequence: Expression,
    /// One sentence of advice.
    sentence: Expression,
    permission: ModelPermission,
    names: Vec<String>,
    commands: Vec<String>,
}

impl<'a> Composition<'a> {
    /// Creates the composition: with `word` the advice is of the language of advice, otherwise of the authored
    /// sentences.
    pub(super) fn new(found: &'a Found, permission: ModelPermission) -> Self {
        let authored = Authored::of(found);
        let sentence = match permission {
            ModelPermission::Word => advice::sentence(&authored, Breadth::Accepted),
            ModelPermission::Choose | ModelPermission::Plan => one_of(authored.advice().iter().cloned()),
        };
        Self {
            found,
            consequence: choice(found.texts.consequences.iter().map(|text| synonyms(text))),
            sentence,
            permission,
            names: names(&found.finding),
            commands: authored.commands().to_vec(),
        }
    }

    /// Returns the finding that the texts are about.
    pub(super) fn found(&self) -> &'a Found {
        self.found
    }

    /// Returns the permission under which the texts are written.
    pub(super) fn permission(&self) -> ModelPermission {
        self.permission
    }

    /// Returns the expression that a model samples by: the text, without its statement when there is only one. Under
    /// `word` it is the subset of the accepted texts with plain wordings.
    pub(super) fn sampled(&self) -> Expression {
        let sentence = match self.permission {
            ModelPermission::Word => advice::sentence(&Authored::of(self.found), Breadth::Sampled),
            ModelPermission::Choose | ModelPermission::Plan => self.sentence.clone(),
        };
        let space = || literal(" ");
        let consequence = optional(sequence([self.consequence.clone(), space()]));
        let statement = match (self.found.texts.statements.as_slice(), self.permission) {
            ([_], _) | (_, ModelPermission::Word) => None,
            (several, _) => Some(sequence([one_of(several.iter().cloned()), space()])),
        };
        sequence(statement.into_iter().chain([consequence, sentence]))
    }

    /// Converts [`sampled`](Self::sampled) into a grammar.
    pub(super) fn grammar(&self) -> String {
        lark::grammar(&self.sampled())
    }

    /// Completes a model's answer: puts the statement before it unless it begins with one.
    pub(super) fn complete(&self, answer: &str) -> String {
        let answer = plain(answer);
        let statements = &self.found.texts.statements;
        if statements.iter().any(|statement| answer.starts_with(statement.as_str())) {
            return answer;
        }
        let statement = statements.first().map(String::as_str).unwrap_or_default();
        format!("{statement} {answer}")
    }

    /// Checks that a text is one of the possible texts, and returns its assertions.
    ///
    /// # Errors
    /// The reason and the first words that do not fit.
    pub(super) fn check(&self, text: &str) -> Result<Vec<Assertion>, Rejection> {
        let refused = |at: usize| {
            let rest = text.get(at..).filter(|rest| !rest.trim().is_empty()).unwrap_or(text);
            Rejection::new(RejectionReason::NotInLanguage, rest)
        };
        let Some(mut matcher) = Matcher::new(text) else { return Err(refused(0)) };
        let mut furthest = 0;
        for statement in &self.found.texts.statements {
            let rest = text.strip_prefix(statement.as_str()).and_then(|rest| rest.strip_prefix(' '));
            if rest.is_none() {
                continue;
            }
            let start = statement.len() + 1;
            if let Some(spans) = self.spans(&mut matcher, start, text) {
                let [.., first, second] = spans.as_slice() else {
                    return self.assertions(text, statement.len(), &spans);
                };
                return match self.repeats(&text[first.1..first.2], &text[second.1..second.2]) {
                    true => Err(Rejection::new(RejectionReason::Repetitive, &text[second.1..second.2])),
                    false => self.assertions(text, statement.len(), &spans),
                };
            }
            furthest = furthest.max(start).max(matcher.furthest());
        }
        Err(refused(furthest))
    }

    /// Splits the text after the statement into sentences: `(is_advice, start, end)` of each.
    fn spans(
        &self,
        matcher: &mut Matcher<'_>,
        start: usize,
        text: &str,
    ) -> Option<Vec<(bool, usize, usize)>> {
        let after_space = |end: usize| text[end..].starts_with(' ').then_some(end + 1);
        let consequences = matcher.ends(&self.consequence, start);
        let begins = consequences.into_iter().filter_map(|end| Some((Some(end), after_space(end)?)));
        for (consequence, begin) in [(None, start)].into_iter().chain(begins) {
            let sentences: BTreeSet<usize> = matcher.ends(&self.sentence, begin);
            for end in sentences {
                let mut spans: Vec<_> = consequence.map(|end| (false, start, end)).into_iter().collect();
                spans.push((true, begin, end));
                if end == text.len() {
                    return Some(spans);
                }
                let Some(second) = after_space(end) else { continue };
                if matcher.ends(&self.sentence, second).contains(&text.len()) {
                    spans.push((true, second, text.len()));
                    return Some(spans);
                }
            }
        }
        None
    }

    /// Returns whether two sentences are equal or name the same command.
    fn repeats(&self, first: &str, second: &str) -> bool {
        let both = |command: &String| {
            let quoted = format!("`{command}`");
            first.contains(&quoted) && second.contains(&quoted)
        };
        first == second || self.commands.iter().any(both)
    }

    fn assertions(
        &self,
        text: &str,
        statement: usize,
        spans: &[(bool, usize, usize)],
    ) -> Result<Vec<Assertion>, Rejection> {
        Ok(assertions::of(text, &self.found.finding, statement, spans, &self.names, &self.commands))
    }

    /// Returns the authored text and its assertions.
    pub(super) fn rules_text(&self) -> (String, Vec<Assertion>) {
        let texts = &self.found.texts;
        let text = texts.rules_text();
        let statement = texts.statements.first().map_or(0, String::len);
        let mut spans = Vec::new();
        let mut at = statement + 1;
        let consequence = texts.consequences.first().map(|text| (false, first_choices(text)));
        for (is_advice, sentence) in
            consequence.into_iter().chain(texts.advice.first().map(|text| (true, text.clone())))
        {
            spans.push((is_advice, at, at + sentence.len()));
            at += sentence.len() + 1;
        }
        let assertions =
            assertions::of(&text, &self.found.finding, statement, &spans, &self.names, &self.commands);
        (text, assertions)
    }
}

/// Parses a sentence with `[a|b]` choices.
pub(super) fn synonyms(sentence: &str) -> Expression {
    let mut parts = Vec::new();
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('[') {
        let (choices, behind) = after.split_once(']').unwrap_or((after, ""));
        parts.extend([literal(before), one_of(choices.split('|'))]);
        rest = behind;
    }
    parts.push(literal(rest));
    sequence(parts)
}

/// Replaces typographic punctuation by ASCII and white space by single spaces.
pub(super) fn plain(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| match c {
            '\u{2018}' | '\u{2019}' => '\'',
            '\u{201c}' | '\u{201d}' => '"',
            '\u{2010}' | '\u{2011}' => '-',
            c if c.is_whitespace() => ' ',
            c => c,
        })
        .collect();
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
