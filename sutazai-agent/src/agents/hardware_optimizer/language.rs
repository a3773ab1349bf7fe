//! Regular languages: one expression gives both the check of a finished text and the grammar that a backend samples by.
//!
//! An [`Expression`] is built from literals, sequences, choices and bounded repetitions, without recursion. A part that
//! is used in several places is a named [`Rule`]. [`Matcher::ends`] decides membership with sets of positions: each
//! rule is evaluated at most once per position of the text, so the time grows with the length of the text and the size
//! of the expression, never exponentially. [`lark`](super::lark) prints the same expression as a grammar.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

/// Maximum length of a matched text in bytes; the longest authored text has less than half of it.
pub(super) const MAX_TEXT_BYTES: usize = 1_500;

/// Regular language, as an expression.
#[derive(Debug, Clone)]
pub(super) enum Expression {
    /// A literal: exactly this text.
    Literal(Arc<str>),
    /// The parts one after another; without parts the empty text.
    Sequence(Arc<[Expression]>),
    /// One of the parts; without parts the empty language.
    Choice(Arc<[Expression]>),
    /// Between `min` and `max` repetitions.
    Repeat {
        /// Expression that is repeated.
        of: Arc<Expression>,
        /// Minimum number of repetitions.
        min: usize,
        /// Maximum number of repetitions.
        max: usize,
    },
    /// Named part, which may be used in several places.
    Rule(Arc<Rule>),
}

/// Named part of an expression.
#[derive(Debug)]
pub(super) struct Rule {
    /// Name in lower-case letters and `_`; several rules may have the same name.
    pub(super) name: &'static str,
    /// Expression that the name stands for.
    pub(super) body: Expression,
}

/// Matches exactly this text.
pub(super) fn literal(text: impl Into<Arc<str>>) -> Expression {
    Expression::Literal(text.into())
}

/// Matches the parts one after another. It is the empty language if one part is.
pub(super) fn sequence(parts: impl IntoIterator<Item = Expression>) -> Expression {
    let parts: Vec<_> = parts.into_iter().collect();
    if parts.iter().any(Expression::is_nothing) { nothing() } else { Expression::Sequence(parts.into()) }
}

/// Matches the parts with a space between them.
pub(super) fn spaced(parts: impl IntoIterator<Item = Expression>) -> Expression {
    let mut spaced = Vec::new();
    for part in parts {
        if !spaced.is_empty() {
            spaced.push(literal(" "));
        }
        spaced.push(part);
    }
    sequence(spaced)
}

/// Matches one of the parts.
pub(super) fn choice(parts: impl IntoIterator<Item = Expression>) -> Expression {
    Expression::Choice(parts.into_iter().filter(|part| !part.is_nothing()).collect())
}

/// Matches one of these texts.
pub(super) fn one_of<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Expression {
    let texts: BTreeSet<String> = texts.into_iter().map(Into::into).collect();
    Expression::Choice(texts.into_iter().map(|text| Expression::Literal(text.into())).collect())
}

/// Matches the part or the empty text.
pub(super) fn optional(part: Expression) -> Expression {
    repeat(part, 0, 1)
}

/// Matches between `min` and `max` repetitions of the part.
pub(super) fn repeat(part: Expression, min: usize, max: usize) -> Expression {
    match part.is_nothing() {
        true if min == 0 => Expression::Sequence([].into()),
        true => nothing(),
        false => Expression::Repeat { of: Arc::new(part), min, max },
    }
}

/// Names an expression. The empty language stays unnamed, so that it can be recognized.
pub(super) fn rule(name: &'static str, body: Expression) -> Expression {
    if body.is_nothing() { nothing() } else { Expression::Rule(Arc::new(Rule { name, body })) }
}

/// Returns the empty language.
pub(super) fn nothing() -> Expression {
    Expression::Choice([].into())
}

impl Expression {
    /// Returns whether this is the empty language, which contains no text.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Choice(parts) if parts.is_empty())
    }

    /// Returns whether the whole text belongs to the language.
    pub(super) fn matches(&self, text: &str) -> bool {
        Matcher::new(text).is_some_and(|mut matcher| matcher.ends(self, 0).contains(&text.len()))
    }
}

/// Part of an expression whose end positions are cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Rule(*const Rule),
    Repeat(*const Expression, usize, usize),
}

/// Matcher of one text, with cached results.
pub(super) struct Matcher<'t> {
    text: &'t str,
    /// End positions of each rule or repetition that begins at a position.
    known: HashMap<(Part, usize), Rc<BTreeSet<usize>>>,
    furthest: usize,
}

impl<'t> Matcher<'t> {
    /// Creates a matcher of `text`; `None` if it is longer than [`MAX_TEXT_BYTES`].
    pub(super) fn new(text: &'t str) -> Option<Self> {
        (text.len() <= MAX_TEXT_BYTES).then(|| Self { text, known: HashMap::new(), furthest: 0 })
    }

    /// Returns the positions where texts of this expression that begin at `start` can end.
    pub(super) fn ends(&mut self, expression: &Expression, start: usize) -> BTreeSet<usize> {
        match expression {
            Expression::Literal(text) => {
                let rest = self.text.get(start..).unwrap_or_default();
                if rest.starts_with(text.as_ref()) {
                    self.furthest = self.furthest.max(start + text.len());
                    BTreeSet::from([start + text.len()])
                } else {
                    BTreeSet::new()
                }
            }
            Expression::Sequence(parts) => {
                let mut starts = BTreeSet::from([start]);
                for part in parts.iter() {
                    starts = self.ends_of_all(part, &starts);
                }
                starts
            }
            Expression::Choice(parts) => parts.iter().flat_map(|part| self.ends(part, start)).collect(),
            Expression::Repeat { of, min, max } => {
                let key = (Part::Repeat(Arc::as_ptr(of), *min, *max), start);
                if let Some(known) = self.known.get(&key) {
                    return known.as_ref().clone();
                }
                let mut starts = BTreeSet::from([start]);
                let mut ends = if *min == 0 { starts.clone() } else { BTreeSet::new() };
                for times in 1..=*max {
                    starts = self.ends_of_all(of, &starts);
                    if starts.is_empty() {
                        break;
                    }
                    if times >= *min {
                        ends.extend(&starts);
                    }
                }
                self.known.insert(key, Rc::new(ends.clone()));
                ends
            }
            Expression::Rule(rule) => {
                let key = (Part::Rule(Arc::as_ptr(rule)), start);
                if let Some(known) = self.known.get(&key) {
                    return known.as_ref().clone();
                }
                let ends = self.ends(&rule.body, start);
                self.known.insert(key, Rc::new(ends.clone()));
                ends
            }
        }
    }

    fn ends_of_all(&mut self, expression: &Expression, starts: &BTreeSet<usize>) -> BTreeSet<usize> {
        starts.iter().flat_map(|start| self.ends(expression, *start)).collect()
    }

    /// Returns the furthest position that a literal has matched up to: the first words that do not fit begin there.
    pub(super) fn furthest(&self) -> usize {
        self.furthest
    }
}
